"""From a snapshot to checks, hypotheses and the headline. Pure: nothing here talks to the network."""
