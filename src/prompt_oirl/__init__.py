"""Learn from logs which prompt works for which query."""
