"""The program as a process: signals, standard streams, exit codes."""
