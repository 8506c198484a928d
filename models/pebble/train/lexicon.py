"""Words, invented names and the rule that divides everything into train and held-out."""
import random
import zlib


def h(text):
    """A stable hash: Python's own differs from run to run."""
    return zlib.crc32(text.encode())


def split_words(words, one_in=6):
    """Divide a word list into (train, held) by hash, so that adding a word moves no other."""
    train = [w for w in words if h("w:" + w) % one_in]
    held = [w for w in words if h("w:" + w) % one_in == 0]
    return {"train": train, "held": held or train[:1]}


_NOUNS = """lamp kettle basket bucket candle ladder hammer mirror blanket bottle carpet pillow button
pencil ribbon saddle trumpet violin drum wagon anchor compass lantern barrel chest kite rope whistle
helmet shield spoon teapot vase clock statue puzzle marble magnet engine wheel pump valve filter cable
bracket hinge crate parcel ticket album locket brush needle thread scarf jacket glove boot umbrella
notebook stamp token medal ring bell cup plate bowl jar tray stool bench table shelf drawer cabinet
window gate fence tile brick plank tent sail oar paddle raft canoe bicycle scooter sled plough rake
shovel sickle bridle banner flag mask puppet chessboard telescope microscope prism beaker flask funnel
apple pear plum cherry melon carrot onion pumpkin walnut almond biscuit muffin pie cake loaf cheese
coin shell pebble feather acorn leaf flower seed stone card book map key box toy doll ball brooch
abacus anvil apron awning axle bagpipe balloon bandage barometer basin beacon beehive bellows bolt
bonnet bookcase broom cage calendar camera canvas cart casket chain chalk chimney chisel churn cloak
cradle crown curtain cushion dagger desk dial dish doorbell easel eraser fan flute fork fountain
furnace gear globe goblet gong guitar hammock harp hatch hook horn hourglass inkwell kayak kiln
lever loom lute mallet mop mortar mug nail napkin oven padlock paintbrush pendulum piano pin pipe
pitcher plug pot pulley quilt quiver razor reel rocket roof rug ruler sandal sack saw scale screw""".split()

_ADJ = """blue red green yellow white black grey brown golden silver purple orange pink round square
small large tall short heavy light old new broken shiny dusty narrow wide wooden iron copper glass
paper striped spotted painted plain smooth rough bright dark quiet loud warm cold dry wet clean thick
thin curved flat hollow solid folded carved polished rusty woven hidden northern southern eastern
western upper lower inner outer first last early late spare crooked brittle ancient modern gentle
sturdy faded gleaming humble jolly lively mellow noble patient quick rapid simple tidy useful vivid""".split()

_CITY = """Arden Belford Corvin Dunmore Elstow Farrow Galway Hartley Iverton Jarrow Kelso Lorton
Marsden Norwick Oakham Penrith Quenby Ripley Selby Tarbert Ulford Varley Wexham Yarrow Zeal Ashby
Bramley Calder Denby Emsworth Fenwick Garston Hexham Ilkley Kendal Ludlow Malton Newark Otley Pickering""".split()

_PEOPLE = """Mira Tom Anna Ben Clara David Ella Finn Grace Hugo Iris Jack Kate Leo Maya Noah Olga Paul
Quinn Rosa Sam Tina Uma Victor Wendy Xavier Yara Zoe Adam Beth Carl Dora Eric Fay Gus Hana Ivan June
Karl Lena Max Nina Otto Pia Rolf Sara Theo Una Vera Walt Amir Bela Cora Dina Egon Flora Gina Hans""".split()

_JOB = """baker farmer teacher doctor pilot sailor painter singer writer lawyer tailor miner plumber
weaver potter printer gardener carpenter engineer librarian fisher nurse clerk judge cook guard
dentist editor florist jeweller mason porter ranger surveyor tutor waiter welder brewer""".split()

NOUN = split_words(_NOUNS)
ADJ = split_words(_ADJ)
CITY = split_words(_CITY)
PEOPLE = split_words(_PEOPLE)
JOB = split_words(_JOB)

_ONSET = "b c d f g h j k l m n p r s t v w z br dr gr kr pl st tr sk fl".split()
_NUC = "a e i o u a e i o ai ou".split()
_CODA = "n r l s m k t nd x".split() + [""] * 7


def invented(rng, split, low=2, high=3):
    """A pronounceable made-up word; one in eight spellings is held out."""
    while True:
        w = "".join(rng.choice(_ONSET) + rng.choice(_NUC) for _ in range(rng.randint(low, high))) + rng.choice(_CODA)
        if (h("i:" + w) % 8 == 0) == (split == "held"):
            return w


# The share of held-out words among the listed words of an evaluation item; families.make sets it for each rung.
unseen = {"share": 1.0}


def one(rng, split, words, made_up=0.6):
    """A word of the list. In training more than half are made up, some by splicing two listed words: otherwise
    the model completes the beginning of an unseen word to one it knows instead of copying it."""
    if split == "held":
        return rng.choice(words["held" if rng.random() < unseen["share"] else "train"])
    if rng.random() >= made_up:
        return rng.choice(words["train"])
    if rng.random() < 0.35:
        return invented(rng, split)
    while True:
        a, b = rng.choice(words[split]), rng.choice(words[split])
        w = a[:rng.randint(1, max(1, len(a) - 1))] + b[rng.randint(1, len(b) - 1):]
        if 3 <= len(w) <= 11 and w not in words["held"]:
            return w


def some(rng, split, words, n):
    """n different words of the list."""
    out = []
    while len(out) < n:
        w = one(rng, split, words)
        if w not in out:
            out.append(w)
    return out


def plural(noun):
    if noun.endswith(("s", "x", "ch", "sh")):
        return noun + "es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    if noun.endswith("f") and noun in ("leaf", "loaf", "scarf"):
        return noun[:-1] + "ves"
    if noun == "shelf":
        return "shelves"
    return noun + "s"


_TEMPLATES = {}


def template(rng, split, name, *parts):
    """One combination of phrase parts. A fifth of the combinations is held out, so an evaluation
    wording is a new combination of known phrases."""
    lists = _TEMPLATES.get(name)
    if lists is None:
        combos = [()]
        for p in parts:
            combos = [c + (x,) for c in combos for x in p]
        lists = {"train": [], "held": []}
        for c in combos:
            lists["held" if h(name + "|".join(c)) % 5 == 0 else "train"].append("".join(c))
        assert lists["train"] and lists["held"], name
        _TEMPLATES[name] = lists
    return rng.choice(lists[split])


def mine(split, key):
    """Whether an item with this content belongs to the split (one in sixteen is held out)."""
    return (h("k:" + key) % 16 == 0) == (split == "held")
