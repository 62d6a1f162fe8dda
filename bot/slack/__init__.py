"""The conversation: listeners, the typed line, the form, the messages."""
