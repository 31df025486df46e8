"""Image files as arrays of bytes, whatever format Pillow reads. Imported in the child only: it
imports Pillow.

All become colour (RGB) if any image to train on is in colour, else grey. What is not 8-bit grey or
RGB to begin with:

- turned by its EXIF orientation as a viewer would;
- of several frames or pages, the first;
- transparent: laid on white;
- with a palette: colour if one of the palette's entries is, else grey;
- 16-bit grey: divided by 257 and rounded (Pillow itself reads 16-bit colour as 8-bit); black and
  white: 0 and 255;
- CMYK, YCbCr, Lab, HSV: converted to RGB by Pillow, without colour profiles;
- colour to grey: 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), where only test images are in colour;
- 32-bit integers or floats, whose range nobody knows: refused.

Resizing is bilinear over each target pixel's support, so that shrinking does not alias, and does
not keep the aspect.
"""

from __future__ import annotations

import stat
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps

from assay.experiments.data.arrays import Array
from assay.models.errors import RequestError

GREY_MODES = {"1", "L", "LA"}
WIDE_MODES = {"I;16", "I;16B", "I;16L", "I;16N", "I", "F"}
"""Or 32 bits: some formats give 16 as 32, so only the values tell."""

PALETTE_MODES = {"P", "PA"}
TURNED_SIDEWAYS = {5, 6, 7, 8}
"""EXIF orientations that swap height and width."""

WHITE = (255, 255, 255, 255)
Size = tuple[int, int]
"""(height, width) in pixels."""


def decode(train: Sequence[Path], test: Sequence[Path], size: Size | None) -> tuple[Array, Array]:
    """Read all images of both parts, as colour if any of `train` is.

    Args:
        train: the files to train on.
        test: the files to test on.
        size: that all are resized to; None: all must have one size.

    Returns:
        The images of each part, uint8, (n, height, width) or (n, height, width, 3).

    Raises:
        RequestError: a file that is no image or too large, or images of different sizes.
    """
    if size is None:
        size = _one_size([*train, *test])
    colour = any(_is_colour(path) for path in train)
    shape = (*size, 3) if colour else size
    parts = tuple(np.empty((len(paths), *shape), np.uint8) for paths in (train, test))
    for paths, part in zip((train, test), parts, strict=True):
        for place, path in enumerate(paths):
            part[place] = _pixels(path, size, colour)
    return parts[0], parts[1]


def _one_size(paths: Sequence[Path]) -> Size:
    """Return the size that all have, by their headers."""
    first = _size(paths[0])
    for path in paths:
        if (found := _size(path)) != first:
            raise RequestError(
                f"images must be of one size, or be resized by [data] size = [height, width]: {paths[0]} is "
                f"{first[0]} x {first[1]}, {path} is {found[0]} x {found[1]}."
            )
    return first


def _size(path: Path) -> Size:
    with _opened(path) as image:
        turned = image.getexif().get(ExifTags.Base.Orientation) in TURNED_SIDEWAYS
        return (image.width, image.height) if turned else (image.height, image.width)


def _is_colour(path: Path) -> bool:
    with _opened(path) as image:
        if image.mode in PALETTE_MODES:
            palette = np.array(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
            return bool((palette != palette[:, :1]).any())
        return image.mode not in GREY_MODES | WIDE_MODES


def _pixels(path: Path, size: Size, colour: bool) -> Array:
    """Return one image as uint8, (height, width) or (height, width, 3)."""
    with _opened(path) as opened:
        image = _on_white(_eight_bits(ImageOps.exif_transpose(opened), path))
        if image.mode not in GREY_MODES:
            image = image.convert("RGB")
        image = image.convert("RGB" if colour else "L")
        if (image.height, image.width) != size:
            image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
        return np.asarray(image)


def _eight_bits(image: Image.Image, path: Path) -> Image.Image:
    """Return a 16-bit grey image with 8 bits, another as it is."""
    if image.mode not in WIDE_MODES:
        return image
    values = np.asarray(image)
    largest = np.iinfo(np.uint16).max
    if image.mode == "F" or values.min() < 0 or values.max() > largest:
        raise RequestError(
            f"{path} has 32-bit pixels, whose range is not known: save it with 8 or 16 bits."
        )
    wide = values.astype(np.int64)
    if isinstance(transparent := image.info.get("transparency"), int):
        wide[values == transparent] = largest
    return Image.fromarray(((wide + 128) // 257).astype(np.uint8))


def _on_white(image: Image.Image) -> Image.Image:
    """Lay an image that can be seen through on white; another is returned as it is."""
    if not image.has_transparency_data:
        return image
    over = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", over.size, WHITE), over)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open an image, its pixels not yet decoded; whatever its format's reader raises becomes one
    line.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd metadata; the pixels are what matters
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                raise RequestError(f"{path} is no file: in a class's folder all must be images.")
            with Image.open(path, formats=_formats()) as image:
                yield image
        except RequestError:
            raise
        except MemoryError:
            raise RequestError(f"{path} does not fit into this machine's memory.") from None
        except (Image.DecompressionBombWarning, Image.DecompressionBombError):
            raise RequestError(
                f"{path} has more than {Image.MAX_IMAGE_PIXELS:,} pixels, which Pillow takes for an attack: shrink it."
            ) from None
        except Exception as error:  # each format's reader raises its own kinds
            reason = " ".join(str(error).split()) or type(error).__name__
            raise RequestError(
                f"{path} is not an image that Pillow can read ({reason}): remove or mend it."
            ) from None


def _formats() -> list[str]:
    """Return the formats that are only data: reading EPS would run the file, a program, in
    Ghostscript.
    """
    Image.init()
    return [name for name in Image.OPEN if name != "EPS"]
