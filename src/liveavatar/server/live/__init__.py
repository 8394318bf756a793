"""The live half of the server: who may run a live session, of which portrait, and its WebSocket."""
