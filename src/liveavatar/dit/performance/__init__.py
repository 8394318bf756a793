"""The model made smaller and faster from outside: quantised, offloaded, compiled."""
