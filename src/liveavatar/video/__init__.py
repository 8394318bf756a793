"""Reading and writing pictures with sound."""
