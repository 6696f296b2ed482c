//! Secrets out of bytes, over chunk borders and in the usual encodings.
