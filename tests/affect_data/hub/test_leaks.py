"""What must not be published is found wherever it stands, and what is harmless is not."""

import json
import struct
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from loopback_hub import LoopbackHub
from PIL import Image
from published_faces import add_teacher

from affect_data.databases.base import Tier
from affect_data.hub.leaks import Leak, LeaksFoundError, find_leaks
from affect_data.hub.publish import plan

TOKEN = "hf_" + "abcdefghij" * 3


def found(folder: Path, tier: Tier = Tier.DERIVED) -> list[tuple[str, str, str]]:
    return [
        (leak.file, leak.field, leak.kind)
        for leak in find_leaks(folder, tier, user="annabell", host="laptop7.example.org")
    ]


def picture(kind: str = "JPEG") -> bytes:
    data = BytesIO()
    Image.new("RGB", (4, 4)).save(data, kind)
    return data.getvalue()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("made from /home/annabell-2/faces", "absolute path"),
        ("at /unusual/place/x.jpg", "absolute path"),
        ("/mnt/disk", "absolute path"),
        (r"C:\Users\bob\faces", "absolute path"),
        (r"\\server\share\faces", "absolute path"),
        ("file:///x/y", "absolute path"),
        ("see ~/runs/teacher", "home folder"),
        ("by annabell, 2026", "name of this user"),
        ("on laptop7.example.org", "name of this machine"),
        ("on laptop7:0", "name of this machine"),
        (TOKEN, "token"),
        ("ghp_" + "a1" * 18, "token"),
        ("AKIA" + "ABCD" * 4, "token"),
        ("-----BEGIN RSA PRIVATE KEY-----", "private key"),
        ("data:image/png;base64,AAAA", "picture"),
    ],
)
@pytest.mark.parametrize("kind_of_file", ["json", "markdown", "column", "metadata"])
def test_every_kind_is_found_in_texts_json_and_tables(tmp_path: Path, text: str, kind: str, kind_of_file: str) -> None:
    if kind_of_file == "json":
        (tmp_path / "a.json").write_text(json.dumps({"outer": [{"inner": text}]}))
        expected = ("a.json", "outer[0].inner", kind)
    elif kind_of_file == "markdown":
        (tmp_path / "README.md").write_text(f"# Faces\n\n{text}\n")
        expected = ("README.md", "line 3", kind)
    elif kind_of_file == "column":
        pq.write_table(pa.table({"rows": [{"note": "fine"}, {"note": text}]}), tmp_path / "a.parquet")
        expected = ("a.parquet", "column rows.note", kind)
    else:
        pq.write_table(pa.table({"x": [1]}).replace_schema_metadata({"origin": text}), tmp_path / "a.parquet")
        expected = ("a.parquet", "metadata origin", kind)
    assert expected in found(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "https://example.org/home/page", "hf://anna/faces", "expw/image/origin/p000.png", "AU and/or VA", "</b><br/>", "~0.5/1", "1/2/3",
        "datasets/anna/faces", "annabella", "hf_short", "-----BEGIN PUBLIC KEY-----", "a: b", "10.1/x", "laptop70",
    ],
)  # fmt: skip
def test_what_is_harmless_is_not_found(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"text": text}))
    pq.write_table(pa.table({"text": [text]}), tmp_path / "a.parquet")
    assert found(tmp_path) == []


def test_a_user_may_be_called_the_same_on_the_hub(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"name": "annabell/faces", "host": "laptop7"}))
    leaks = find_leaks(tmp_path, Tier.DERIVED, "Annabell/faces", user="annabell", host="laptop7")
    assert [leak.field for leak in leaks] == ["host"]


def test_secrets_are_not_repeated(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"token": TOKEN}))
    (leak,) = find_leaks(tmp_path, Tier.FULL)
    assert leak == Leak("a.json", "token", "token", "hf_abc...")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF"])
def test_pictures_leave_at_tier_full_only(tmp_path: Path, kind: str) -> None:
    pq.write_table(pa.table({"image": [{"bytes": picture(kind), "path": "a"}]}), tmp_path / "a.parquet")
    assert found(tmp_path) == [("a.parquet", "column image.bytes", "picture")]
    assert found(tmp_path, Tier.FULL) == []


@pytest.mark.writes_pickles
def test_a_pickle_never_leaves(tmp_path: Path) -> None:
    pickled = b"\x80\x04\x95\x05\x00\x00\x00\x00\x00\x00\x00]\x94."
    (tmp_path / "model.txt").write_bytes(pickled)
    (tmp_path / "torch.json").write_bytes(b"PK\x03\x04....archive/data.pkl")
    pq.write_table(pa.table({"blob": [pickled]}), tmp_path / "a.parquet")
    assert found(tmp_path, Tier.FULL) == [
        ("a.parquet", "column blob", "pickle"),
        ("model.txt", "its bytes", "pickle"),
        ("torch.json", "its bytes", "pickle"),
    ]


def test_weights_graphs_and_logs_are_looked_through(tmp_path: Path) -> None:
    header = json.dumps({"__metadata__": {"run": "/home/bob/run"}}).encode()
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    (tmp_path / "a.onnx").write_bytes(b"\x08\x07\x12\x10 " + b"x" * (1 << 20) + b" /home/bob/model.py\x00")
    (tmp_path / "events.out.tfevents.1.2.0").write_bytes(b'\x00\x01"' + TOKEN.encode() + b"\x00")
    assert found(tmp_path, Tier.FULL) == [
        ("a.onnx", f"byte {5 + (1 << 20) + 1:,}", "absolute path"),
        ("a.safetensors", "header __metadata__.run", "absolute path"),
        ("events.out.tfevents.1.2.0", "byte 3", "token"),
    ]


def test_a_leak_across_two_parts_of_a_large_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(b"x" * ((1 << 20) - 10) + b" /home/bob/secret_model ")
    assert [kind for _, _, kind in found(tmp_path, Tier.FULL)] == ["absolute path"]


def test_what_cannot_be_looked_through_is_refused_and_names_count(tmp_path: Path) -> None:
    (tmp_path / "a.dat").write_bytes(b"")
    (tmp_path / "annabell.json").write_text("{}")
    assert found(tmp_path) == [
        ("a.dat", "its kind", "a kind of file that is not looked through"),
        ("annabell.json", "its name", "name of this user"),
    ]


def test_publishing_refuses_a_leak_with_its_file_and_field_and_sends_nothing(hub: LoopbackHub, faces: Path) -> None:
    add_teacher(faces, "local", teacher_id="/home/bob/runs/teacher")
    with pytest.raises(LeaksFoundError) as error:
        plan(faces, "anna/faces", Tier.DERIVED)
    assert "affectkit.json: provenance.soft.local.teacher_id: absolute path: /home/bob/runs/teacher" in str(error.value)
    assert not hub.repositories
    # Tier recipe does not hold the teacher.
    assert plan(faces, "anna/faces").upload
