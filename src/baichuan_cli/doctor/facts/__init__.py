"""What is known about this machine before anything is judged: one module a subject, each with its own look."""
