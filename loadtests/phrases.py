"""Sentences for synthetic prompts in English and German, and code: invented for this project, nobody in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Phrases:
    """
    What one language has: the system message, the tasks that open a prompt, sentence templates, values of the slots.

    {place} and {time} are adverbials, {thing} a plural without an article, {n} a number from 2 to 59; in code they are
    parts of names. `glue` stands between two sentences.
    """

    system: str
    tasks: tuple[str, ...]
    templates: tuple[str, ...]
    places: tuple[str, ...]
    times: tuple[str, ...]
    things: tuple[str, ...]
    glue: str = " "


ENGLISH: Final = Phrases(
    system="Answer plainly.",
    tasks=(
        "Summarise these notes:", "Name three open questions:", "Write a short reply:", "List what has to be done:",
        "Turn this into a plan:", "Explain this to a newcomer:", "Find what contradicts itself:", "Suggest a title:",
    ),
    templates=(
        "The storeroom {place} holds {n} boxes of {thing}.", "We counted {n} {thing} {place} {time}.",
        "Nobody had ordered {thing} {time}, yet {n} arrived.", "The old map shows {n} {thing} {place}.",
        "It rained {time}, so the {thing} stayed dry only {place}.",
        "A second delivery of {thing} is planned {time}.", "Most of the {thing} {place} are older than {n} years.",
        "The workshop repairs about {n} {thing} a week.",
        "Please check {time} whether the {thing} are still {place}.",
        "The price of {thing} rose by {n} percent {time}.", "There is room for {n} more {thing} {place}.",
        "The list names {n} {thing}, but two lines are empty.", "Somebody left {thing} {place} {time}.",
        "The lamps {place} go out {n} minutes after closing.", "The exhibition about {thing} opens {time}.",
        "From here it takes {n} minutes on foot to reach the {thing}.", "The {thing} were painted green {time}.",
        "The report mentions {thing} on page {n}.", "The new shelves {place} carry {n} kilograms each.",
        "The inventory of {thing} has to be finished {time}.",
        "Only every second one of the {n} {thing} has a label.", "The ferry carries {thing} and up to {n} bicycles.",
        "It was quiet {place} {time}, with {n} visitors in all.", "The {thing} are packed in layers of {n}.",
        "A bell rings {place} whenever {thing} come in.", "The plan for {thing} was changed {n} times.",
        "The water stood {n} centimetres high {place} {time}.", "The {thing} need a dry place and little light.",
        "The meeting about {thing} was moved to room {n}.", "Half of the {thing} can be stored {place}.",
        "The path behind the {thing} is closed {time}.", "A sign {place} warns of loose {thing}.",
        "The scale shows {n} grams too much for the {thing}.", "Spare {thing} are kept {place} in drawer {n}.",
        "The first test with {thing} lasted {n} hours.", "The wind turned {time} and the {thing} began to rattle.",
        "The catalogue describes {n} kinds of {thing}.", "The bridge can be crossed again {time}.",
        "The order for {thing} was split into {n} parts.", "The clock {place} is {n} seconds slow.",
        "Two of the {thing} {place} do not fit together.", "The budget covers {n} {thing}, not more.",
    ),
    places=("at the harbour", "in the library", "behind the station", "on the second floor", "near the old mill"),
    times=("on Monday", "in early spring", "last week", "before noon", "at the end of the month", "during the night"),
    things=("chairs", "maps", "lanterns", "seed packets", "wooden crates", "bicycle bells", "glass jars"),
)  # fmt: skip

GERMAN: Final = Phrases(
    system="Antworte knapp.",
    tasks=(
        "Fasse diese Notizen zusammen:", "Nenne drei offene Fragen:", "Schreibe eine kurze Antwort:",
        "Was ist zu tun?", "Mache daraus einen Plan:", "Erkläre das für Neulinge:", "Was widerspricht sich hier?",
        "Schlage einen Titel vor:",
    ),
    templates=(
        "Im Lager stehen {place} noch {n} Kisten für {thing}.", "Gezählt wurden {time} {place} genau {n} {thing}.",
        "Bestellt waren {time} keine {thing}, geliefert wurden {n}.",
        "Auf der alten Karte sind {place} {n} {thing} eingezeichnet.",
        "Es regnete {time}, trocken blieben die {thing} nur {place}.",
        "Eine zweite Lieferung {thing} ist {time} vorgesehen.",
        "Die meisten {thing} {place} sind älter als {n} Jahre.",
        "Die Werkstatt richtet in der Woche etwa {n} {thing} her.",
        "Bitte {time} prüfen, ob die {thing} noch {place} liegen.",
        "Der Preis für {thing} stieg {time} um {n} Prozent.", "Für {n} weitere {thing} ist {place} noch Platz.",
        "Die Liste nennt {n} {thing}, zwei Zeilen sind aber leer.",
        "Offenbar wurden {time} {place} {thing} vergessen.", "Das Licht geht {place} {n} Minuten nach Schluss aus.",
        "Die Ausstellung über {thing} beginnt {time}.", "Zu Fuß dauert der Weg zu den Regalen {n} Minuten.",
        "Die {thing} wurden {time} grün gestrichen.", "Der Bericht erwähnt {thing} auf Seite {n}.",
        "Die neuen Regale {place} tragen je {n} Kilogramm.", "Die Aufstellung der {thing} muss {time} fertig sein.",
        "Von den {n} Stücken trägt nur jedes zweite ein Schild.",
        "Die Fähre nimmt {thing} und bis zu {n} Fahrräder mit.",
        "Es war {time} {place} ruhig, insgesamt kamen {n} Gäste.", "Die {thing} liegen in Schichten zu je {n}.",
        "Eine Klingel läutet {place}, sobald {thing} eintreffen.", "Der Plan für {thing} wurde {n} Mal geändert.",
        "Das Wasser stand {time} {place} {n} Zentimeter hoch.",
        "Die {thing} brauchen einen trockenen Ort und wenig Licht.",
        "Das Treffen wegen der {thing} findet in Raum {n} statt.",
        "Die Hälfte der {thing} lässt sich {place} unterbringen.",
        "Der Pfad hinter dem Schuppen ist {time} gesperrt.", "Ein Schild warnt {place} vor losen Brettern.",
        "Die Waage zeigt für die {thing} {n} Gramm zu viel.", "Ersatz für {thing} liegt {place} in Schublade {n}.",
        "Der erste Versuch mit {thing} dauerte {n} Stunden.", "Der Wind drehte {time}, und die {thing} klapperten.",
        "Der Katalog beschreibt {n} Sorten {thing}.", "Die Brücke ist {time} wieder offen.",
        "Der Auftrag über {thing} wurde in {n} Teile zerlegt.", "Die Uhr geht {place} {n} Sekunden nach.",
        "Zwei der {thing} {place} passen nicht zusammen.", "Das Geld reicht für {n} {thing}, nicht für mehr.",
    ),
    places=("am Hafen", "in der Bücherei", "hinter dem Bahnhof", "im zweiten Stock", "bei der alten Mühle"),
    times=("am Montag", "im frühen Frühjahr", "in der letzten Woche", "am Vormittag", "zum Monatsende", "in der Nacht"),
    things=("Stühle", "Karten", "Laternen", "Samentüten", "Holzkisten", "Fahrradklingeln", "Schraubgläser"),
)  # fmt: skip

_MODULE: Final = """
def count_{thing}(rows):
    total = 0
    for row in rows:
        if row["{place}"] > {n}:
            total += row["{thing}"]
    return total
----
def {time}_{thing}(values, limit={n}):
    kept = [value for value in values if value < limit]
    return sorted(kept)[-{n}:]
----
class {thing}_of_{place}:
    def __init__(self, size={n}):
        self.size = size
        self.{thing} = []

    def add(self, item):
        self.{thing}.append(item)
        return len(self.{thing}) > self.size
----
def {time}_{place}(path):
    with open(path) as lines:
        return [line.split(",")[:{n}] for line in lines]
----
{thing}_limit = {n}
{place}_names = {{name: index for index, name in enumerate({thing}_list)}}
----
def merge_{thing}(left, right):
    merged = dict(left)
    for key, value in right.items():
        merged[key] = merged.get(key, {n}) + value
    return merged
----
def wait_for_{place}(check, tries={n}):
    for number in range(tries):
        if check(number):
            return number
    raise RuntimeError("no {place} {time}")
----
def mean_{thing}(samples):
    # {time}: at most {n} samples
    samples = samples[:{n}]
    return sum(samples) / len(samples) if samples else None
----
assert {time}_{thing}([1, 2, {n}]) == [1, 2]
assert merge_{thing}({{}}, {{"{place}": 1}})["{place}"] == {n}
----
while {thing}:
    item = {thing}.pop()
    if item.{place} is None or item.{time} > {n}:
        continue
    results.append(item)
"""

CODE: Final = Phrases(
    system="Answer with code.",
    tasks=(
        "Find the mistake in this module:", "Write tests for this module:", "Explain what this module does:",
        "Add type hints to this module:", "Make this module faster:", "Split this module into smaller functions:",
        "Write the docstrings of this module:", "Continue this module:",
    ),
    templates=tuple(_MODULE.strip().split("\n----\n")),
    places=("harbour", "library", "station", "upstairs", "mill"),
    times=("early", "late", "first", "daily", "final", "nightly"),
    things=("chairs", "maps", "lanterns", "seeds", "crates", "bells", "jars"),
    glue="\n\n",
)  # fmt: skip
