"""Parquet files on any filesystem that pyarrow knows: which there are, what columns they have, whose ids they hold."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
from pyarrow.fs import FileInfo, FileSelector, FileSystem, FileType

from sentence_ordering.data.tables import check_names


@dataclass(frozen=True)
class Place:
    """A file, a folder or a pattern on a filesystem.

    Args:
        filesystem: The filesystem.
        path: The path on it.
    """

    filesystem: FileSystem
    path: str

    @classmethod
    def of(cls, name: str) -> Place:
        """Resolve a name.

        Args:
            name: A path, or a URI like `s3://bucket/folder` or `file:///folder`.

        Returns:
            The place.

        Raises:
            ValueError: If pyarrow knows no such filesystem.
        """
        uri = name if "://" in name else os.path.abspath(name)
        try:
            filesystem, path = FileSystem.from_uri(uri)
        except (pa.ArrowException, ImportError) as error:
            raise ValueError(f"{name}: pyarrow knows no such filesystem ({error}).") from error
        return cls(filesystem, path.rstrip("/"))

    def list_files(self) -> list[FileInfo]:
        """List the files of a folder, in all folders below it, but for hidden ones; none if there is no folder."""
        selector = FileSelector(self.path, recursive=True, allow_not_found=True)
        infos = self.filesystem.get_file_info(selector)
        return [info for info in infos if info.type == FileType.File and not _is_hidden(info.path, self.path)]


def find_parquet(place: Place) -> list[FileInfo]:
    """Find the Parquet files that an input names.

    Args:
        place: A file, a folder with no other files in and below it, or a pattern like `folder/*.parquet`.

    Returns:
        The files, sorted by path.

    Raises:
        ValueError: If there are none, or others among them.
    """
    if "*" in place.path:
        folder = Place(place.filesystem, place.path[: place.path.index("*")].rpartition("/")[0])
        pattern = "/" + place.path.lstrip("/").replace("[", "[[]").replace("?", "[?]")
        files = [info for info in folder.list_files() if PurePosixPath("/", info.path).match(pattern)]
    else:
        info = place.filesystem.get_file_info(place.path)
        files = [info] if info.type == FileType.File else place.list_files()
    others = [info.path for info in files if info.extension != "parquet"]
    if others:
        raise ValueError(
            f"{others[0]}: is no Parquet file, which alone can be read on a cluster. Write one with `sentence-ordering "
            "order --output NAME.parquet` or `datasets`; in a folder of several kinds name the pattern '*.parquet'."
        )
    if not files:
        raise ValueError(f"{place.path}: there are no Parquet files.")
    return sorted(files, key=lambda info: info.path)


def read_schema(filesystem: FileSystem, files: list[FileInfo]) -> pa.Schema:
    """Read the columns of files, which must all be the same because one table is made of them.

    Args:
        filesystem: Where they are.
        files: The files.

    Returns:
        Their schema.

    Raises:
        ValueError: If a file has other columns than the first, or two of one name, or is damaged.
    """
    schema = None
    for info in files:
        try:
            found = ds.ParquetFileFormat().make_fragment(info.path, filesystem).physical_schema
            names = found.names
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # The last of a column's name.
            raise ValueError(f"{info.path}: is no Parquet file that can be read ({error}).") from error
        check_names(names, info.path)
        if schema is None:
            schema = found
        elif not schema.equals(found):
            raise ValueError(
                f"{info.path}: has the columns\n{_describe(found)}\nbut {files[0].path}\n{_describe(schema)}\n"
                "Bring all files to the same columns and types."
            )
    assert schema is not None  # There is a file at least.
    return schema


def open_table(filesystem: FileSystem, files: list[FileInfo]) -> ds.Dataset:
    """Open files as one table."""
    return ds.dataset([info.path for info in files], format="parquet", filesystem=filesystem)


def hash_ids(table: ds.Dataset, id_column: str) -> np.ndarray:
    """Hash the ids of a table, which takes eight bytes of memory an id.

    Args:
        table: The table.
        id_column: The column of the ids.

    Returns:
        The hashes of all rows, sorted, of dtype uint64.
    """
    hashes = [np.empty(0, dtype=np.uint64)]
    for batch in table.to_batches(columns=[id_column]):
        hashes.append(_hash(batch.column(0)))
    joined = np.concatenate(hashes)
    joined.sort()
    return joined


def check_ids(table: ds.Dataset, id_column: str) -> np.ndarray:
    """Check that every row has an id of its own, by which a restarted run knows what is done.

    Args:
        table: The table.
        id_column: The column of the ids, integers or strings.

    Returns:
        What `hash_ids` returns.

    Raises:
        ValueError: If there is no row or no such column, it is of another type, or an id is missing or there twice.
    """
    if id_column not in table.schema.names:
        raise ValueError(f"There is no column {id_column!r} of ids, only {table.schema.names}. Name it: `--id_column`.")
    id_type = table.schema.field(id_column).type
    if not (pa.types.is_integer(id_type) or pa.types.is_string(id_type) or pa.types.is_large_string(id_type)):
        raise ValueError(f"The ids in {id_column!r} are of type {id_type}. Make them integers or strings.")
    missing = table.count_rows(filter=ds.field(id_column).is_null())
    if missing:
        raise ValueError(f"{missing} rows have no id in {id_column!r}. Give each row one of its own.")
    hashes = hash_ids(table, id_column)
    if len(hashes) == 0:
        raise ValueError("There is nothing to order: the input has no rows.")
    alike = np.unique(hashes[1:][hashes[1:] == hashes[:-1]])
    if len(alike):  # Ids that are there twice, or, hardly ever, two whose hashes are alike.
        suspects = [
            batch.column(0).filter(pa.array(np.isin(_hash(batch.column(0)), alike)))
            for batch in table.to_batches(columns=[id_column])
        ]
        counts = pa.chunked_array(suspects, id_type).value_counts().to_pylist()
        twice = [count["values"] for count in counts if count["counts"] > 1]
        if twice:
            raise ValueError(
                f"{len(twice)} ids in {id_column!r} stand in several rows, {twice[0]!r} for example. A restarted run "
                "would leave out all but one of these rows; give each an id of its own."
            )
    return hashes


def _hash(ids: pa.Array) -> np.ndarray:
    return pd.util.hash_array(ids.to_numpy(zero_copy_only=False), categorize=False)


def _is_hidden(path: str, folder: str) -> bool:
    """Tell whether a file or a folder above it is one that readers of tables leave out, like `_SUCCESS`."""
    return any(part.startswith(("_", ".")) for part in PurePosixPath(path).relative_to(folder).parts)


def _describe(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} ({field.type})" for field in schema)
