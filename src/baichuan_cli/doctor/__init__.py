"""`bcli doctor`: facts about this machine and its software are gathered, and small checks judge them."""
