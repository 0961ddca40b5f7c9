"""The parts of race.py: peers, their training and drawing, the judge, the machine's limit, stages and the report."""
