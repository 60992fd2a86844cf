"""Running trials: workers, their slots, a trial's jobs, when no more begin."""
