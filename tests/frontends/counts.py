"""How many of a check's jobs engines computed, and how alike the least alike pictures are."""
from collections import Counter

from pictures import LEAST_DB, alike


class Counts:
    """Of the jobs of one kind."""

    def __init__(self):
        self._by, self._whys, self._decibels = Counter(), Counter(), {}

    def note(self, name, plain, made):
        """Counts a job: its pictures by PyTorch, and as an engine or PyTorch made them."""
        if not made.files or not plain.files:
            self._by["without a picture"] += 1
            return
        by = "by PyTorch" if not made.is_served else "in part by PyTorch" if made.by_pytorch else "by engines"
        self._by[by] += 1
        self._whys.update({line.partition("sdtrt: ")[2] for line in made.by_pytorch})
        if made.is_served:
            self._decibels[name] = alike(plain, made)

    def lines(self):
        """Returns what they come to, in words."""
        jobs = ", ".join(f"{number} {by}" for by, number in self._by.items())
        yield f"{self._by.total()} jobs: {jobs or 'none'}"
        if self._decibels:
            least = min(self._decibels, key=self._decibels.get)
            below = [name for name, each in self._decibels.items() if each < LEAST_DB]
            yield (f"of those with engines {len(below)} below {LEAST_DB} dB{': ' * bool(below)}{', '.join(below)}; "
                   f"least {self._decibels[least]:.1f} dB ({least})")
        for why, number in self._whys.most_common():
            yield f"PyTorch in {number}: {why}"
