"""Which layer of which network to tap for a new task: a shortlist, a choice, and a certificate."""
