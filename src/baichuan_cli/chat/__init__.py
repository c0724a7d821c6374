"""Conversations: what was said, how it is kept, how it is typed, and how it is shown."""
