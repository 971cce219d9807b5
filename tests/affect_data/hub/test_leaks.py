"""What must not be published is found wherever it stands, and what is harmless is not."""

import json
import struct
from io import BytesIO
from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from loopback_hub import LoopbackHub
from PIL import ExifTags, Image
from published_faces import add_teacher

from affect_data.databases.base import Tier
from affect_data.hub.leak_patterns import Scope, patterns
from affect_data.hub.leaks import UNKNOWN, Leak, LeaksFoundError, find_leaks
from affect_data.hub.publish import plan

TOKEN = "hf_" + "abcdefghij" * 3


LEAKS = [
    ("made from /home/annabell-2/faces", "absolute path"),
    ("at /unusual/place/x.jpg", "absolute path"),
    ("/mnt/disk", "absolute path"),
    (r"C:\Users\bob\faces", "absolute path"),
    (r"\\server\share\faces", "absolute path"),
    ("file:///x/y", "absolute path"),
    (r"D:\faces", "absolute path"),
    (r"C:\\Users\\bob\\faces", "absolute path"),
    ("C:/Users/bob/faces", "absolute path"),
    ("//server/share/faces", "absolute path"),
    ("smb://server/faces", "absolute path"),
    ("FILE:/x/y", "absolute path"),
    ("server:/data/faces", "absolute path"),
    ("gcc -I/home/bob/include", "absolute path"),
    ("</home/bob/x>", "absolute path"),
    ("/home/李/脸", "absolute path"),
    (r"\/home\/bob\/faces", "absolute path"),
    ("?file=%2Fhome%2Fbob%2Ffaces", "absolute path"),
    ("/gpfs/project", "absolute path"),
    ("see ~/runs/teacher", "home folder"),
    ("PATH=x:~/bin", "home folder"),
    ("by annabell, 2026", "name of this user"),
    ("on laptop7.example.org", "name of this machine"),
    ("on laptop7:0", "name of this machine"),
    ("runs_annabell_2", "name of this user"),
    ("LAPTOP7_0", "name of this machine"),
    (TOKEN, "token"),
    ("ghp_" + "a1" * 18, "token"),
    ("AKIA" + "ABCD" * 4, "token"),
    ("ASIA" + "ABCD" * 4, "token"),
    ("AIza" + "a1-_x" * 7, "token"),
    ("sk-ant-api03-" + "aB3" * 8, "token"),
    ("sk_live_" + "aB3" * 8, "token"),
    ("npm_" + "a1" * 18, "token"),
    ("pypi-" + "AgEI" * 8, "token"),
    ("xapp-1-" + "A1" * 10, "token"),
    ("ghs_" + "a1" * 18, "token"),
    ("wandb_glpat-" + "a1" * 10, "token"),
    ("eyJ" + "hbGc" * 6 + ".eyJ" + "zdWI" * 6 + ".sig", "token"),
    ("Authorization: Bearer " + "a1" * 12, "token"),
    ("git clone https://bob:secret@example.org/x", "token"),
    ("https://hooks.slack.com/services/T0/B0/x", "token"),
    ("-----BEGIN PGP PRIVATE KEY BLOCK-----", "private key"),
    ("-----BEGIN RSA PRIVATE KEY-----", "private key"),
    ("data:image/png;base64,AAAA", "picture"),
    ("/9j/4QAYRXhpZgAA", "picture"),
    ("R0lGODlhAQAB", "picture"),
    ("FFD8FFE000104a4649460001", "picture"),
]

BETWEEN_BYTES = [
    "from /home/bob/x", "/mnt/disk", "server:/data/faces", "gcc -I/home/bob/include", r"\/home\/bob", "%2Fhome%2Fbob", "FILE:/x/y",
    "smb://server/faces", TOKEN, "ghp_" + "a1" * 18, "AKIA" + "ABCD" * 4, "AIza" + "a1-_x" * 7, "ya29." + "a1" * 12,
    "eyJ" + "hbGc" * 6 + ".eyJ" + "zdWI" * 6 + ".sig", "BEARER " + "a1" * 12, "https://bob:secret@example.org/x",
    "https://hooks.slack.com/services/T0/B0/x", "-----BEGIN RSA PRIVATE KEY-----", "PuTTY-User-Key-File-3",
]  # fmt: skip


def found(folder: Path, tier: Tier = Tier.DERIVED) -> list[tuple[str, str, str]]:
    return [
        (leak.file, leak.field, leak.kind)
        for leak in find_leaks(folder, tier, user="annabell", host="laptop7.example.org")
    ]


def picture(kind: str = "JPEG") -> bytes:
    data = BytesIO()
    Image.new("RGB", (4, 4)).save(data, kind)
    return data.getvalue()


@pytest.mark.parametrize(("text", "kind"), LEAKS)
def test_every_kind_is_found_in_texts_json_and_tables(tmp_path: Path, text: str, kind: str) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"outer": [{"inner": text}]}))
    (tmp_path / "README.md").write_text(f"# Faces\n\n{text}\n")
    table = pa.table({"rows": [{"note": "fine"}, {"note": text}]}).replace_schema_metadata({"origin": text})
    pq.write_table(table, tmp_path / "a.parquet")
    assert set(found(tmp_path)) >= {
        ("a.json", "outer[0].inner", kind),
        ("README.md", "line 3", kind),
        ("a.parquet", "column rows.note", kind),
        ("a.parquet", "metadata origin", kind),
    }


@pytest.mark.parametrize(
    "text",
    [
        "https://example.org/home/page", "hf://anna/faces", "expw/image/origin/p000.png", "AU and/or VA", "</b><br/>", "~0.5/1", "1/2/3",
        "datasets/anna/faces", "annabella", "hf_short", "-----BEGIN PUBLIC KEY-----", "a: b", "10.1/x", "laptop70",
        "hf://datasets/anna/faces",
        "http://127.0.0.1:8000/data/x", "10:30", "sk-learn", "doi.org/10.1109/x", "https://doi.org/10.1177/15", "eyJ.eyJ.x",
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
    (tmp_path / "old.txt").write_bytes(b"cposix\nsystem\n(S'true'\ntR.")
    assert found(tmp_path, Tier.FULL) == [
        ("a.parquet", "column blob", "pickle"),
        ("model.txt", "its bytes", "pickle"),
        ("old.txt", "its bytes", "pickle"),
        ("torch.json", "its bytes", "pickle"),
    ]


def message(number: int, value: bytes) -> bytes:
    """A field of a message of protocol buffers."""
    length = b""
    rest = len(value)
    while rest > 0x7F:
        length, rest = length + bytes([rest & 0x7F | 0x80]), rest >> 7
    return bytes([number << 3 | 2]) + length + bytes([rest]) + value


def event(summary: bytes) -> bytes:
    """A record of an event file of TensorBoard."""
    data = message(5, summary)
    return struct.pack("<QI", len(data), 0) + data + b"\0" * 4


def weights(folder: Path, header: dict[str, object], data: bytes = b"") -> None:
    text = json.dumps(header).encode()
    (folder / "a.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)


def test_weights_are_looked_through(tmp_path: Path) -> None:
    weights(tmp_path, {"__metadata__": {"run": "/home/bob/run"}})
    assert found(tmp_path, Tier.FULL) == [("a.safetensors", "header __metadata__.run", "absolute path")]
    hidden = picture("JPEG") + b"\0" + TOKEN.encode()
    weights(tmp_path, {"x": {"dtype": "U8", "shape": [len(hidden)], "data_offsets": [0, len(hidden)]}}, hidden)
    kinds = [(name, kind) for name, _, kind in found(tmp_path)]
    assert kinds == [("a.safetensors", "token"), ("a.safetensors", "picture")]
    assert [kind for _, _, kind in found(tmp_path, Tier.FULL)] == ["token"]
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", 1 << 40))
    assert found(tmp_path) == [("a.safetensors", "its content", UNKNOWN)]


def test_every_text_of_a_graph_is_looked_through(tmp_path: Path) -> None:
    node = onnx.helper.make_node(
        "Identity", ["x"], ["y"], name="/model/vit/layer.0/MatMul", doc_string=r"C:\Users\bob\net.py"
    )
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    stored = onnx.numpy_helper.from_array(np.frombuffer(picture("PNG"), np.uint8), "w")
    graph = onnx.helper.make_graph([node], "by annabell", [value], [value], [stored])
    model = onnx.helper.make_model(graph)
    onnx.helper.set_model_props(model, {"host": "laptop7", "from": "/home/bob/x"})
    onnx.save(model, tmp_path / "a.onnx")
    leaks = found(tmp_path)
    assert {kind for _, _, kind in leaks} == {"absolute path", "name of this machine", "name of this user", "picture"}
    # The path in the text of a node is one of Windows: it is no other string, and the name of a layer is no path.
    assert len({field for _, field, kind in leaks if kind == "absolute path"}) == 2
    (tmp_path / "a.onnx").write_bytes(b"no graph")
    assert found(tmp_path) == [("a.onnx", "its content", UNKNOWN)]


def test_every_text_of_an_event_file_is_looked_through(tmp_path: Path) -> None:
    value = message(1, b"text/host") + message(8, message(8, b"run on laptop7 by annabell, ~/runs/x"))
    image = message(4, message(4, picture("PNG")))
    (tmp_path / "events.out.tfevents.1.laptop7.2.0").write_bytes(
        event(message(1, value)) + event(message(1, image)) + event(message(1, message(1, TOKEN.encode())))
    )
    name = "events.out.tfevents.1.laptop7.2.0"
    leaks = found(tmp_path)
    assert (name, "its name", "name of this machine") in leaks
    assert {kind for _, _, kind in leaks} == {
        "name of this machine", "name of this user", "home folder", "picture", "token",
    }  # fmt: skip
    assert any(field.startswith("event 0, field 5.1") for _, field, _ in leaks)
    (tmp_path / name).write_bytes(b"no events at all")
    assert (name, "its content", UNKNOWN) in found(tmp_path)


def test_what_is_looked_for_between_bytes_has_hints_that_are_in_it() -> None:
    for pattern in patterns(Tier.DERIVED, user="annabell", host="laptop7"):
        assert bool(pattern.hints or pattern.begins) == (pattern.scope is Scope.BYTES), pattern.expression


@pytest.mark.parametrize("text", BETWEEN_BYTES)
def test_leaks_are_found_between_bytes(tmp_path: Path, text: str) -> None:
    weights(tmp_path, {}, b"\x80" + text.encode() + b"\x80")
    assert len(found(tmp_path, Tier.FULL)) == 1


def test_a_leak_across_two_parts_of_a_large_file_is_found(tmp_path: Path) -> None:
    weights(tmp_path, {}, b"x" * ((1 << 20) - 10) + b" /home/bob/secret_model ")
    assert [kind for _, _, kind in found(tmp_path, Tier.FULL)] == ["absolute path"]


def test_a_column_of_any_type_is_looked_through(tmp_path: Path) -> None:
    text = "/home/bob/faces"
    columns = {
        "dictionary": pa.array([text]).dictionary_encode(),
        "map": pa.array([[(text, 1)]], pa.map_(pa.string(), pa.int8())),
        "list": pa.array([[[text]]]),
        "view": pa.array([text], pa.string_view()),
        "bytes": pa.array([text.encode()]),
        "fixed": pa.array([text.encode()], pa.binary(len(text))),
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    assert {field.removeprefix("column ").partition(".")[0] for _, field, _ in found(tmp_path)} == set(columns)
    pixels = pa.array([list(picture("JPEG"))], pa.list_(pa.uint8()))
    pq.write_table(pa.table({"pixels": pixels}), tmp_path / "a.parquet")
    assert found(tmp_path) == [("a.parquet", "column pixels", "picture")]


def test_metadata_of_columns_and_of_the_file_are_looked_through(tmp_path: Path) -> None:
    inner = pa.field("inner", pa.int8(), metadata={"made": "on laptop7"})
    schema = pa.schema([pa.field("x", pa.struct([inner]), metadata={"from": "/home/bob/x"})])
    with pq.ParquetWriter(tmp_path / "a.parquet", schema) as writer:
        writer.write_table(pa.table({"x": [{"inner": 1}]}, schema=schema))
        writer.add_key_value_metadata({"by": "annabell"})
    assert set(found(tmp_path)) == {
        ("a.parquet", "metadata by", "name of this user"),
        ("a.parquet", "metadata of column x", "absolute path"),
        ("a.parquet", "metadata of column x.inner", "name of this machine"),
    }


def test_the_metadata_of_pictures_may_hold_the_databases_words_and_none_of_ours(tmp_path: Path) -> None:
    for said, kinds in {
        "/Users/photographer/Desktop/x.psd": [],
        f"token {TOKEN}": ["token"],
        "by annabell": ["name of this user"],
        "LAPTOP7": ["name of this machine"],
    }.items():
        exif, data = Image.Exif(), BytesIO()
        exif[ExifTags.Base.Software] = said
        Image.new("RGB", (4, 4)).save(data, "JPEG", exif=exif)
        pq.write_table(pa.table({"image": [data.getvalue()]}), tmp_path / "a.parquet")
        assert [kind for _, _, kind in found(tmp_path, Tier.FULL)] == kinds


def test_the_first_of_two_equal_keys_is_seen(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"x": "/home/bob", "x": "fine"}')
    assert found(tmp_path) == [("a.json", "x", "absolute path")]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.json", b"{"),
        ("a.md", b"\xff\xfe/\0h\0o\0m\0e\0/\0b\0"),
        ("b.md", b"a\0b"),
        ("a.parquet", b"PAR1"),
        ("a.yaml", b"PK\x03\x04"),
        ("a.txt", b"\x1f\x8b\x08"),
    ],
)
def test_what_is_not_what_its_name_says_is_refused(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    assert [kind for _, _, kind in found(tmp_path)] == [UNKNOWN]


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
