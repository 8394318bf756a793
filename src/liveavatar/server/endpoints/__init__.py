"""Clients of OpenAI-compatible endpoints: speech to text, a language model, text to speech."""
