"""Runs the published VolumeCache once: volume_cache.py hydrate|sync VOLUME DIRECTORY"""

import sys

from runpod.serverless.utils.rp_volume_cache import VolumeCache

call, volume, directory = sys.argv[1:]
cache = VolumeCache([directory], namespace="shared", volume_path=volume, best_effort=False)
if call == "hydrate":
    cache.hydrate()
else:
    cache.sync(background=False)
