"""What workers need: imported once, by the process that they fork from."""

import ncbounds.bounds.collapse
import ncbounds.bounds.distribution
import ncbounds.bounds.holdout
import ncbounds.bounds.margin
import ncbounds.bounds.network
import ncbounds.checkpoints.architectures.build
import ncbounds.checkpoints.architectures.small
import ncbounds.checkpoints.class_names
import ncbounds.checkpoints.read
import ncbounds.evaluation.facts
import ncbounds.extraction.extract
import ncbounds.geometry.collapse
import ncbounds.network.reading.summarise
import ncbounds.runs.engine
import ncbounds.runs.subject  # noqa: F401
