"""What `ncbounds evaluate --help` says under its options."""

EVALUATE = """
DATA. The function of --data returns {"holdout": (inputs, labels), "test": loader, ...}, each a
pair of arrays, tensors or frames, a map-style data set, a DataLoader, or batches with labels
inside, whose other entries are the network's keyword inputs. A file (d.npz, .csv, .parquet)
takes --role holdout=0:4000. A folder has a part for each sample: such files, val/CLASS/*.png
with --transform data.py:tensor, or what datasets saved to disk. Parts that are not called by
roles are mapped by --roles. A loader that gives other rows on a second pass (augmentation,
shuffling) is said: rows are then about the one draw that the store keeps.

NAMES OF CLASSES are those of a task in a zoo.toml (classes = ["sandal", ...]), of id2label
of a transformers folder, of classes of the data set in a loader, or in Python of
nb.Evidence(decision=nb.MultiClass(names)).

ZOO. Many checkpoints are described by a zoo.toml (`ncbounds init` drafts one). Code that it
names (model = "net.py:build", data = "data.py:load") runs only if the same is typed (--model,
--data), or with --trust.

SERIES. Checkpoints of one run, in a folder (epoch-2.pt, checkpoint-500/) or under a series of a
zoo.toml (files = "run/epoch-*.pt"), stand in the order of the epoch or step that the files,
else their names, say. Under the table stands one along the steps: errors, best certificate,
loss, NC1, efficiency with its bracket and factors, margin efficiency, and, with --layers all,
effective depth; --log joins a CSV. Words are said only where something shows them: still
collapsing; stalled (the brackets of the efficiency stay within .01 over the last third while
the loss falls); from step s on indistinguishable from the last (within .01 by paired limits on
the same held-out rows, at delta over the number of steps).

EVIDENCE THAT SPEAKS AGAINST ITSELF makes a row a plug-in, with a reason that says what was
found and what to do: more than 1 % of the points (equal at float32 precision, or of equal
inputs) repeat inside the sample, or stand in one that the features or the head were fitted on
(or fewer, where chance does not give as many); labels beyond the head's range that look shifted
by one or like a mark to ignore (others count as errors); class frequencies that no draw from
the priors gives; a class that is absent here and frequent in another draw; class counts by
clean label under label noise. --repeats 'by chance' keeps points of a law that repeats them
(dead features, counts), as far as repeats inside a sample explain those between samples.
Without a fit sample there is nothing to compare with: the row says that overlap was not
checked.

RUNNING. --precision bf16 evaluates the network as it runs in that precision, weights rounded
too, and its rows say so; float32 is run without TF32. Workers of another --engine have to find
the files under the same names; rows come back to the run folder whether or not a disk is
shared, and a worker that is killed is one row with its reason.

NO LINEAR HEAD (an ensemble that averages probabilities, prototypes, an exported program): the
run goes on with what the network predicts, and one line says why the other rows are missing. A
softmax or sigmoid at the end is seen through, one logit decides between two classes at 0, and
fixed affine maps behind the head (temperature, class scales, logit adjustment, a batch norm, a
slice, a mean of several heads) are folded into it; the folded head proves itself as any other.
"""
