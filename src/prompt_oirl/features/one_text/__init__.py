"""One text at a time: what `tokens`, `surface`, `ngrams`, `lexical` and `similarity` do in arrays, for a single text.

A single text is too short for arrays to pay: calling them takes longer than what they do. Here its tokens are looked up
in dictionaries one by one. The results are those of the general path up to rounding, which tests hold it to.
"""
