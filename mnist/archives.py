"""Read zip archives in memory, with bounds on what they may unpack to."""

import zipfile

MAX_MEMBERS = 500_000
MAX_MEMBER_BYTES = 2**28  # 256 MiB; the largest array of MNIST has 47 MB
MAX_TOTAL_BYTES = 2**30  # 1 GiB unpacked


def check_archive(archive: zipfile.ZipFile) -> None:
    """Raise ValueError for an archive whose own table announces more than the bounds."""
    members = archive.infolist()
    if len(members) > MAX_MEMBERS:
        raise ValueError(f"an archive of {len(members)} files, more than {MAX_MEMBERS}")
    total = sum(member.file_size for member in members)
    if total > MAX_TOTAL_BYTES:
        raise ValueError(f"an archive of {total} bytes unpacked, more than {MAX_TOTAL_BYTES}")


def read_member(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, limit: int = MAX_MEMBER_BYTES
) -> bytes:
    """Unpack one member, or raise ValueError past `limit` bytes, whatever its header announces.

    Nothing is written to disk, so the path in the member's name has no power.
    """
    if member.file_size > limit:
        raise ValueError(f"{member.filename} of {member.file_size} bytes, more than {limit}")
    with archive.open(member) as stream:
        content = stream.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"{member.filename} of more than {limit} bytes")
    return content
