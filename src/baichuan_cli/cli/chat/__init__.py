"""`bcli chat`: what the conversations of `baichuan_cli.chat` look like at a terminal."""
