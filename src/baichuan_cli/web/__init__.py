"""The web page: a conversation with any OpenAI-compatible server, on Gradio (extra `web`)."""
