"""How the bundled demo models are trained; see README.md in this folder. Not part of the installed package."""
