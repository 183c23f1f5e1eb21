"""The search for a short code word that imitates a classifier."""
