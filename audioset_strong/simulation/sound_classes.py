"""Classes of the simulated release: the AudioSet mids of its sounds.

Every mid is in the 527 classes of class_labels_indices.csv, and every class
that sounds are made of is also in the vocabulary of the strong labels. The
parent is the class one step up in ontology.json, where the 527 have it; weak
annotators are sometimes offered the parent instead of the class.

Source: the released class_labels_indices.csv, mid_to_display_name.tsv and
ontology.json; the choice of classes is ours (BUILD_NOTES.md "Simulated
release").
"""

import dataclasses
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class SoundClass:
    """One class of sounds.

    Attributes:
      mid: The most specific class of the sound, which strong labels name.
      display_name: Its name in class_labels_indices.csv.
      parent_mid: The class above it; "" if the 527 have none.
      parent_display_name: Name of the parent.
      other_ancestor_mids: Further classes of the same table that the sound is
        an instance of: other parents, grandparents.
    """

    mid: str
    display_name: str
    parent_mid: str = ""
    parent_display_name: str = ""
    other_ancestor_mids: tuple[str, ...] = ()

    @property
    def all_mids(self) -> frozenset[str]:
        """Every class that is truly present when this sound is heard."""
        mids = {self.mid, self.parent_mid, *self.other_ancestor_mids}
        return frozenset(mids - {""})


def release_vocabulary(classes: Sequence[SoundClass]) -> dict[str, str]:
    """Returns the classes and then their parents, in a fixed order.

    Args:
      classes: The classes of a sound source.

    Returns:
      Display name of each mid; every mid once.
    """
    names = {c.mid: c.display_name for c in classes}
    for sound_class in classes:
        if sound_class.parent_mid:
            names.setdefault(
                sound_class.parent_mid, sound_class.parent_display_name
            )
    return names


# Class of each synthesizer in synthetic_sounds.py.
SYNTHETIC_CLASSES: dict[str, SoundClass] = {
    "accelerating": SoundClass(
        "/m/07q2z82", "Accelerating, revving, vroom", "/m/02mk9", "Engine"
    ),
    "bark": SoundClass("/m/05tny_", "Bark", "/m/0bt9lr", "Dog"),
    "beep": SoundClass("/m/02fs_r", "Beep, bleep"),
    "chirp": SoundClass(
        "/m/07pggtn",
        "Chirp, tweet",
        "/m/020bb7",
        "Bird vocalization, bird call, bird song",
    ),
    "church_bell": SoundClass("/m/03w41f", "Church bell", "/m/0395lw", "Bell"),
    "civil_defense_siren": SoundClass(
        "/m/0dgbq", "Civil defense siren", "/m/03kmc9", "Siren"
    ),
    "cricket": SoundClass("/m/09xqv", "Cricket", "/m/03vt0", "Insect"),
    "drip": SoundClass("/m/07r5v4s", "Drip", "/m/04k94", "Liquid"),
    "gunshot": SoundClass(
        "/m/032s66", "Gunshot, gunfire", "/m/014zdl", "Explosion"
    ),
    "idling": SoundClass("/m/07pb8fc", "Idling", "/m/02mk9", "Engine"),
    "knock": SoundClass("/m/07r4wb8", "Knock", "/m/02dgv", "Door"),
    "mosquito": SoundClass("/m/09f96", "Mosquito", "/m/03vt0", "Insect"),
    "police_siren": SoundClass(
        "/m/04qvtq", "Police car (siren)", "/m/03kmc9", "Siren"
    ),
    "rain": SoundClass("/t/dd00038", "Rain on surface", "/m/06mb1", "Rain"),
    "squeak": SoundClass("/m/07q6cd_", "Squeak", "/m/02dgv", "Door"),
    "steam_whistle": SoundClass(
        "/m/06hck5", "Steam whistle", "/m/0l156k", "Whistle"
    ),
    "tick": SoundClass("/m/07qjznt", "Tick", "/m/01x3z", "Clock"),
    "vehicle_horn": SoundClass(
        "/m/0912c9", "Vehicle horn, car horn, honking", "/m/0k4j", "Car"
    ),
    "white_noise": SoundClass("/m/0chx_", "White noise", "/m/096m7z", "Noise"),
    "wind": SoundClass(
        "/t/dd00092", "Wind noise (microphone)", "/m/03m9d0z", "Wind"
    ),
}

# Class of each category of ESC-50. Four categories have no exact class and take
# the nearest one: can_opening (Burst, pop), drinking_sipping (Gurgling),
# insects, which are flying ones (Fly, housefly), and washing_machine (Whir).
ESC50_CLASSES: dict[str, SoundClass] = {
    "airplane": SoundClass(
        "/m/0cmf2", "Fixed-wing aircraft, airplane", "/m/0k5j", "Aircraft"
    ),
    "breathing": SoundClass("/m/0lyf6", "Breathing"),
    "brushing_teeth": SoundClass("/m/012xff", "Toothbrush"),
    "can_opening": SoundClass(
        "/m/07qsvvw", "Burst, pop", "/m/014zdl", "Explosion"
    ),
    "car_horn": SoundClass(
        "/m/0912c9",
        "Vehicle horn, car horn, honking",
        "/m/0k4j",
        "Car",
        ("/m/07pp_mv",),
    ),
    "cat": SoundClass("/m/07qrkrw", "Meow", "/m/01yrx", "Cat"),
    "chainsaw": SoundClass(
        "/m/01j4z9",
        "Chainsaw",
        "/t/dd00065",
        "Light engine (high frequency)",
        ("/m/02mk9",),
    ),
    "chirping_birds": SoundClass(
        "/m/07pggtn",
        "Chirp, tweet",
        "/m/020bb7",
        "Bird vocalization, bird call, bird song",
    ),
    "church_bells": SoundClass("/m/03w41f", "Church bell", "/m/0395lw", "Bell"),
    "clapping": SoundClass("/m/0l15bq", "Clapping", "/m/0k65p", "Hands"),
    "clock_alarm": SoundClass(
        "/m/046dlr", "Alarm clock", "/m/07pp_mv", "Alarm"
    ),
    "clock_tick": SoundClass("/m/07qjznl", "Tick-tock", "/m/01x3z", "Clock"),
    "coughing": SoundClass("/m/01b_21", "Cough"),
    "cow": SoundClass("/m/07rpkh9", "Moo", "/m/01xq0k1", "Cattle, bovinae"),
    "crackling_fire": SoundClass("/m/07pzfmf", "Crackle", "/m/02_41", "Fire"),
    "crickets": SoundClass("/m/09xqv", "Cricket", "/m/03vt0", "Insect"),
    "crow": SoundClass("/m/07r5c2p", "Caw", "/m/04s8yn", "Crow"),
    "crying_baby": SoundClass(
        "/t/dd00002", "Baby cry, infant cry", "/m/0463cq4", "Crying, sobbing"
    ),
    "dog": SoundClass("/m/05tny_", "Bark", "/m/0bt9lr", "Dog"),
    "door_wood_creaks": SoundClass("/m/07qh7jl", "Creak"),
    "door_wood_knock": SoundClass("/m/07r4wb8", "Knock", "/m/02dgv", "Door"),
    "drinking_sipping": SoundClass(
        "/m/07swgks", "Gurgling", "/m/0838f", "Water"
    ),
    "engine": SoundClass(
        "/t/dd00066", "Medium engine (mid frequency)", "/m/02mk9", "Engine"
    ),
    "fireworks": SoundClass("/m/0g6b5", "Fireworks", "/m/014zdl", "Explosion"),
    "footsteps": SoundClass("/m/07pbtc8", "Walk, footsteps"),
    "frog": SoundClass("/m/07st88b", "Croak", "/m/09ld4", "Frog"),
    "glass_breaking": SoundClass("/m/07rn7sz", "Shatter", "/m/039jq", "Glass"),
    "hand_saw": SoundClass("/m/01b82r", "Sawing", "/m/07k1x", "Tools"),
    "helicopter": SoundClass("/m/09ct_", "Helicopter", "/m/0k5j", "Aircraft"),
    "hen": SoundClass("/m/07st89h", "Cluck", "/m/09b5t", "Chicken, rooster"),
    "insects": SoundClass("/m/0h2mp", "Fly, housefly", "/m/03vt0", "Insect"),
    "keyboard_typing": SoundClass(
        "/m/01m2v", "Computer keyboard", "/m/0316dw", "Typing"
    ),
    "laughing": SoundClass("/m/01j3sz", "Laughter"),
    "mouse_click": SoundClass("/m/07qc9xj", "Clicking"),
    "pig": SoundClass("/t/dd00018", "Oink", "/m/068zj", "Pig"),
    "pouring_water": SoundClass("/m/07prgkl", "Pour", "/m/04k94", "Liquid"),
    "rain": SoundClass(
        "/t/dd00038", "Rain on surface", "/m/06mb1", "Rain", ("/m/0838f",)
    ),
    "rooster": SoundClass(
        "/m/07qn5dc",
        "Crowing, cock-a-doodle-doo",
        "/m/09b5t",
        "Chicken, rooster",
    ),
    "sea_waves": SoundClass(
        "/m/034srq", "Waves, surf", "/m/05kq4", "Ocean", ("/m/0838f",)
    ),
    "sheep": SoundClass("/m/07q0h5t", "Bleat", "/m/07bgp", "Sheep"),
    "siren": SoundClass("/m/03kmc9", "Siren", "/m/07pp_mv", "Alarm"),
    "sneezing": SoundClass("/m/01hsr_", "Sneeze"),
    "snoring": SoundClass("/m/01d3sd", "Snoring", "/m/0lyf6", "Breathing"),
    "thunderstorm": SoundClass(
        "/m/0ngt1", "Thunder", "/m/0jb2l", "Thunderstorm"
    ),
    "toilet_flush": SoundClass("/m/01jt3m", "Toilet flush"),
    "train": SoundClass("/m/07jdr", "Train", "/m/06d_3", "Rail transport"),
    "vacuum_cleaner": SoundClass("/m/0d31p", "Vacuum cleaner"),
    "washing_machine": SoundClass("/m/07s34ls", "Whir"),
    "water_drops": SoundClass("/m/07r5v4s", "Drip", "/m/04k94", "Liquid"),
    "wind": SoundClass(
        "/t/dd00092", "Wind noise (microphone)", "/m/03m9d0z", "Wind"
    ),
}
