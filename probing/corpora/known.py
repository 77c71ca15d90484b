"""The corpora known by name, each declared beside its reader. To add one, see CONTRIBUTING.md.

Sources of the counts: the papers named in the readers; of the classes of 2021 LA and DF, Liu et
al., "ASVspoof 2021: Towards Spoofed and Deepfake Speech Detection in the Wild" (IEEE/ACM TASLP
2023), by way of others who cite them. Of SpoofCeleb they are from a third party, the card of
DeepFense/SpoofCeleb. Addresses and names of archives are those of the 2021 evaluation package, the
README of the ASVspoof 5 database and the SpoofCeleb paper.
"""

from probing.corpora import asvspoof, folders, listed, partialspoof
from probing.registry import Registry

KNOWN = Registry(
    "corpus",
    *asvspoof.CORPORA,
    *partialspoof.CORPORA,
    *listed.CORPORA,
    *folders.CORPORA,
    reserved=("demo", "hf"),
)
