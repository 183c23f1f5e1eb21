"""How much of anything a file may ask for before it is refused, and why that much.

Nothing that a file declares is set aside, looped over or opened before it is compared with one of
these. Each is far above what ordinary files need, and small enough that reading whatever is below
it ends soon and fits into memory. Messages name the number.
"""

MEMORY_SHARE = 0.8
"""Of the machine's memory: a checkpoint is held in it once, as it was hashed."""

SETTLED_SECONDS = 0.1
"""A file written more recently is hashed twice: its time stamp may be too coarse to show a write
that happens while it is read."""

PICKLE_BYTES = 1 << 28
"""The description of the tensors in a file of ``torch.save``: a few hundred bytes for each."""

PICKLE_STEPS = 10_000_000
"""Instructions of a pickle: about ten for a tensor, one or two for a number in a list."""

PICKLE_CALLS = 2_000_000
"""Calls of a pickle: two for a tensor; each makes an object of some hundred bytes."""

PICKLE_WORK = 1_000_000
"""Values that calls and dictionary keys of a pickle read, beyond one for each of its bytes: what
is stored once may be named again and again, and is copied or hashed each time."""

PICKLE_SECONDS = 60.0
"""Time to look through one pickle."""

DEPTH = 64
"""Tuples inside tuples, or braces in a configuration: Python walks both by recursion."""

TENSORS = 1_000_000
"""Tensors of one file: large mixtures of experts have some 100,000."""

NAME_LENGTH = 4096
"""Characters of a tensor's name, or of a key beside it: the longest path that a system opens."""

WRAPPERS = 16
"""Prefixes such as ``module.`` that are taken off a name; two are usual."""

ALIASES = 16
"""Bytes of all tensors for one byte of the file: tied weights are stored once, named several
times, and take memory for every name when a network is built."""

ALIASED_BYTES = 1 << 26
"""What tied weights may always take: small files may name a layer many times."""

HEADER_BYTES = 100_000_000
"""The header of a safetensors file; the format's own limit."""

CONFIG_BYTES = 1 << 24
"""A config.json or the index of its shards."""

MANIFEST_BYTES = 1 << 24
"""A zoo.toml: some hundred bytes for a checkpoint."""

LOG_BYTES = 1 << 27
"""A log of a run: a million lines of a hundred characters."""

WORD_BYTES = 1 << 26
"""A code word: hundreds of bytes are usual, and none above the weights themselves says anything."""

JSON_BYTES = 1 << 28
"""Results that were stored as JSON."""

LAYERS = 10_000
"""Layers, heads, experts or classes that a configuration may ask for without the file having as
many tensors or rows: a number in a file must not make a loop."""

CLASSES = 1_000_000
"""Class numbers: tables have a row or two for each, whether it occurs or not."""

PATTERNS = 1_000
"""Patterns of names in the configuration of an adapter: each is tried on every layer."""

GUESSED_NUMBERS = 1 << 25
"""Numbers of a batch of random inputs: 16 colour images of side 800."""

PARTS = 10
"""Modules and parameters for one tensor of the file: activations and containers have none."""

SPARE_PARTS = 1_000
"""Modules and parameters that a network may have however few tensors the file holds."""

ARRAY_BYTES = 1 << 30
"""What an array may always take when it is unpacked."""

UNPACKED = 100
"""Beyond that: bytes of an array for one byte of the packed file. Images pack 2 to 20 times."""

MEMBERS = 100_000
"""Arrays of an npz file, or members of a zip archive beyond one for each tensor."""
