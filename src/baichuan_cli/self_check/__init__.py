"""Whether the answers of an engine can be trusted: they are compared with a float32 pass over the checkpoint's files.

An engine that leaves ALiBi out, or loses a normalised head, still writes fluent text. Only numbers show it.
"""
