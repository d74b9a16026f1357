"""Decode an audio file with PyAV, which brings its own ffmpeg: for an interpreter that has it. One line of JSON out.

arguments   FILE SAMPLES         the second is written: for each channel, all of its samples as 32-bit floats of this machine
answer      {"rate": …, "channels": …, "samples": …}      samples of one channel
            {"unknown": "…"}                              there is no PyAV, or no room for the samples
            {"broken": "…"}                               the file cannot be decoded
"""

import json
import sys
from typing import Any, Dict


def decode(source: str, target: str) -> Dict[str, Any]:
    """Decode the first audio stream."""
    try:
        import av
    except Exception as error:
        return {"unknown": "{}: {}".format(type(error).__name__, error)}
    try:
        with av.open(source) as container:
            stream = container.streams.audio[0]
            rate, channels = stream.rate, stream.codec_context.layout.nb_channels
            # The rate stays; interleaved 32-bit floats come out, whatever went in. NaN stays NaN.
            resampler = av.AudioResampler(format="fltp", layout=stream.codec_context.layout.name, rate=rate)
            planes = [bytearray() for _ in range(channels)]
            for frame in [*container.decode(stream), None]:
                for piece in resampler.resample(frame):
                    for number, plane in enumerate(piece.planes):
                        planes[number] += bytes(plane)[: piece.samples * 4]
    except Exception as error:
        # What libav says has the name of the file in it, which is ours and means nothing to anybody.
        return {"broken": getattr(error, "strerror", None) or "{}: {}".format(type(error).__name__, error)}
    try:
        with open(target, "wb") as file:
            file.writelines(planes)
    except OSError as error:
        return {"unknown": "{}: {}".format(target, error.strerror)}
    return {"rate": rate, "channels": channels, "samples": len(planes[0]) // 4}


def main() -> int:
    """Decode, and say how that went."""
    print(json.dumps(decode(sys.argv[1], sys.argv[2])))
    return 0
