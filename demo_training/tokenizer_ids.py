"""The token ids that training relies on; `tokenizer.py` makes a SentencePiece model that has them."""

VOCAB_SIZE = 3328
EOS_TOKEN_ID = 2
USER_TOKEN_ID = 195
ASSISTANT_TOKEN_ID = 196
