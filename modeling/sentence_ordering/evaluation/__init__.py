"""Measuring orderers: answers, baselines, statistics, and the report."""
