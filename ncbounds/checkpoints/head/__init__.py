"""The linear head: found by running the network, proved on real inputs."""
