"""Image files as uint8 arrays, decoded by Pillow.

Only the process that prepares data imports this module, because Pillow takes a while to import.

If any training image is in colour, all images become RGB, else all become 8-bit grey. Images that
are neither are converted first:

- EXIF orientation: rotated as a viewer would show it;
- several frames or pages: the first one is used;
- transparency: composited on white;
- palette: colour if an entry of the palette is, else grey;
- 16-bit grey: divided by 257 and rounded (Pillow reads 16-bit colour as 8-bit);
- black and white: 0 and 255;
- CMYK, YCbCr, Lab, HSV: converted to RGB by Pillow, without colour profiles;
- colour, where only test images are in colour: 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601);
- 32-bit integers or floats: refused, because their range is unknown.

Resizing is bilinear over the support of each target pixel, so shrinking does not alias. It does not
keep the aspect ratio.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from assay.experiments.data.arrays import Array
from assay.experiments.data.capacity import ArraySize, CapacityCheck, accept_any_size
from assay.experiments.data.layout import RESIZE_FILTER
from assay.models.errors import RequestError
from assay.models.files import open_user_file

GREY_MODES = {"1", "L", "LA"}
WIDE_MODES = {"I;16", "I;16B", "I;16L", "I;16N", "I", "F"}
"""Modes of 16 or 32 bits. Some formats give 16 bits as 32: only the pixel values tell."""

PALETTE_MODES = {"P", "PA"}
SIDEWAYS_ORIENTATIONS = {5, 6, 7, 8}
"""EXIF orientations that swap height and width."""

WHITE = (255, 255, 255, 255)
ImageSize: TypeAlias = tuple[int, int]
"""(height, width) in pixels."""


def decode_images(
    train: Sequence[Path],
    test: Sequence[Path],
    size: ImageSize | None,
    check_capacity: CapacityCheck = accept_any_size,
) -> tuple[Array, Array]:
    """Decode the training and the test images; all have colour if any training image has.

    Args:
        train: files of the training images.
        test: files of the test images.
        size: size that every image is resized to; None if all images have the same size.
        check_capacity: called with the sizes of both arrays, as `x_train` and `x_test`, before the
            first image is decoded.

    Returns:
        Training and test images, uint8, (n, height, width) or (n, height, width, 3).

    Raises:
        RequestError: a file is not an image or is too large, or images have different sizes.
    """
    # By the training images alone: test images must not change what a network is trained on.
    in_colour = any(_has_colour(path) for path in train)
    # Sideways images have as many pixels, so the memory is known before any image is decoded.
    height, width = _check_header_sizes([*train, *test]) if size is None else size
    channels = (3,) if in_colour else ()
    check_capacity(
        {
            name: ArraySize((len(paths), height, width, *channels), np.dtype(np.uint8))
            for name, paths in (("x_train", train), ("x_test", test))
        }
    )
    first = _decode_image(train[0], size, in_colour)
    common = (first.shape[0], first.shape[1])
    x_train, x_test = (np.empty((len(paths), *first.shape), np.uint8) for paths in (train, test))
    for paths, images in ((train, x_train), (test, x_test)):
        for index, path in enumerate(paths):
            image = first if path is train[0] else _decode_image(path, size, in_colour)
            if image.shape != first.shape:
                raise _of_other_size(train[0], common, path, (image.shape[0], image.shape[1]))
            images[index] = image
    return x_train, x_test


def _check_header_sizes(paths: Sequence[Path]) -> ImageSize:
    """Return the size of the first image as its header has it.

    Where an image must be rotated, PNG may say behind its pixels: that is known when it is decoded.

    Raises:
        RequestError: images have different sizes, however they are rotated.
    """
    first = _read_size(paths[0])
    for path in paths:
        if sorted(size := _read_size(path)) != sorted(first):
            raise _of_other_size(paths[0], first, path, size)
    return first


def _of_other_size(first_path: Path, first: ImageSize, path: Path, size: ImageSize) -> RequestError:
    return RequestError(
        "images must be of one size, or be resized by [data] size = [height, width]: "
        f"{first_path} is {first[0]} x {first[1]}, {path} is {size[0]} x {size[1]}."
    )


def _read_size(path: Path) -> ImageSize:
    with _open_image(path) as image:
        # Not the method of PNG, which decodes the pixels to look for EXIF data behind them.
        exif = Image.Image.getexif(image)
        if exif.get(ExifTags.Base.Orientation) in SIDEWAYS_ORIENTATIONS:
            return image.width, image.height
        return image.height, image.width


def _has_colour(path: Path) -> bool:
    with _open_image(path) as image:
        if image.mode in PALETTE_MODES:
            # An entry is grey if its red, green and blue are equal.
            palette = np.array(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
            return bool((palette != palette[:, :1]).any())
        return image.mode not in GREY_MODES | WIDE_MODES


def _decode_image(path: Path, size: ImageSize | None, in_colour: bool) -> Array:
    """Return one image as uint8, (height, width) or (height, width, 3)."""
    with _open_image(path) as opened:
        image = _composite_on_white(_reduce_to_8_bits(ImageOps.exif_transpose(opened), path))
        # Through RGB, because not every mode has a direct conversion to L.
        if image.mode not in GREY_MODES:
            image = image.convert("RGB")
        image = image.convert("RGB" if in_colour else "L")
        if size is not None and (image.height, image.width) != size:
            # Pillow's sizes are (width, height).
            image = image.resize((size[1], size[0]), Image.Resampling[RESIZE_FILTER.upper()])
        return np.asarray(image)


def _reduce_to_8_bits(image: Image.Image, path: Path) -> Image.Image:
    """Return a 16-bit grey image with 8 bits, any other image unchanged."""
    if image.mode not in WIDE_MODES:
        return image
    values = np.asarray(image)
    largest = np.iinfo(np.uint16).max
    if image.mode == "F" or values.min() < 0 or values.max() > largest:
        raise RequestError(
            f"images must have 8 or 16 bits; {path} has 32-bit pixels, whose range is unknown: "
            "save it with 8 or 16 bits."
        )
    wide = values.astype(np.int64)
    # A transparent 16-bit level would be lost with the mode: it becomes white here.
    if isinstance(transparent_level := image.info.get("transparency"), int):
        wide[values == transparent_level] = largest
    # 65,535 / 257 = 255, so white stays white; 128 makes the division round to the nearest.
    return Image.fromarray(((wide + 128) // 257).astype(np.uint8))


def _composite_on_white(image: Image.Image) -> Image.Image:
    """Return a transparent image composited on white, any other image unchanged."""
    if not image.has_transparency_data:
        return image
    transparent = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", transparent.size, WHITE), transparent)


@contextmanager
def _open_image(path: Path) -> Iterator[Image.Image]:
    """Open an image without decoding its pixels; any reader's error becomes one line."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd metadata; only the pixels matter
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with _open_file(path) as file, Image.open(file, formats=_data_formats()) as image:
                yield image
        except RequestError:
            raise
        except MemoryError:
            raise RequestError(f"{path} does not fit into this machine's memory.") from None
        except (Image.DecompressionBombWarning, Image.DecompressionBombError):
            raise RequestError(
                f"{path} has more than {Image.MAX_IMAGE_PIXELS:,} pixels, which Pillow takes for "
                "an attack: shrink it."
            ) from None
        except UnidentifiedImageError:  # whose message is about the open file
            raise RequestError(
                f"{path} is not an image that Pillow can read (unknown format): remove it, or "
                "repair it."
            ) from None
        except Exception as error:  # every format's reader raises exceptions of its own kinds
            reason = " ".join(str(error).split()) or type(error).__name__
            raise RequestError(
                f"{path} is not an image that Pillow can read ({reason}): remove or repair it."
            ) from None


def _open_file(path: Path) -> BinaryIO:
    try:
        return open_user_file(path)
    except ValueError as error:  # a pipe would block
        raise RequestError(
            f"everything in a class's folder must be an image, but {path} is no file: {error}."
        ) from None


def _data_formats() -> list[str]:
    """Return all formats except EPS, which is a program: Ghostscript would run it."""
    Image.init()
    return [name for name in Image.OPEN if name != "EPS"]
