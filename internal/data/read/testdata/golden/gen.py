"""Writes archives and tables with other tools than ours.

pip install pyarrow==21.0.0 warcio==1.7.5
"""

import io
import pyarrow as pa
import pyarrow.parquet as pq
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

# A table as the datasets library writes it: several row groups, dictionaries,
# nulls, a nested column beside the text.
n = 25
table = pa.table({
    "id": pa.array(range(n), pa.int64()),
    "text": pa.array([None if i == 7 else "" if i == 8 else f"text {i} " + "é" * i for i in range(n)], pa.string()),
    "meta": pa.array([{"url": f"https://site{i % 3}.org/{i}", "score": i / 4} for i in range(n)],
                     pa.struct([("url", pa.string()), ("score", pa.float64())])),
    "label": pa.array(["even", "odd"] * 12 + ["even"], pa.string()),
    "messages": pa.array([[{"role": "user", "content": "hi"}]] * n,
                         pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))),
})
for codec in ["snappy", "zstd", "gzip"]:
    pq.write_table(table, f"table-{codec}.parquet", row_group_size=10, compression=codec,
                   data_page_version="2.0" if codec == "zstd" else "1.0", use_dictionary=codec != "gzip")

PAGE = """<html><head><meta charset="{charset}"><title>Page</title></head><body><nav><a href="/">Home</a></nav>
<p>{text} This paragraph has enough words to be taken for content by any rule, which is what it is here for.</p></body></html>"""


def pages(out, gzip):
    w = WARCWriter(out, gzip=gzip)
    w.write_record(w.create_warcinfo_record("crawl.warc", {"software": "test"}))

    def response(url, headers, body, status="200 OK"):
        h = StatusAndHeaders(status, headers, protocol="HTTP/1.1")
        w.write_record(w.create_warc_record(url, "response", payload=io.BytesIO(body), http_headers=h))

    response("https://www.one.org/utf8", [("Content-Type", "text/html; charset=utf-8")], PAGE.format(charset="utf-8", text="Zürich – Ωmega.").encode())
    response("https://two.com/latin", [("Content-Type", "text/html")], PAGE.format(charset="iso-8859-1", text="Zürich façade.").encode("latin-1"))
    response("https://two.com/sjis", [("Content-Type", "text/html; charset=Shift_JIS")], PAGE.format(charset="shift_jis", text="日本語のページ。").encode("shift_jis"))
    response("https://two.com/plain", [("Content-Type", "text/plain")], "Plain text, “quoted”.\n".encode())
    response("https://two.com/missing", [("Content-Type", "text/html")], b"<p>not found</p>", status="404 Not Found")
    response("https://two.com/image", [("Content-Type", "image/png")], b"\x89PNG")
    body = PAGE.format(charset="utf-8", text="In chunks.").encode()
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(body[i:i + 50]), body[i:i + 50]) for i in range(0, len(body), 50)) + b"0\r\n\r\n"
    response("https://three.net/chunked", [("Content-Type", "text/html"), ("Transfer-Encoding", "chunked")], chunks)
    w.write_record(w.create_warc_record("https://three.net/x", "request", payload=io.BytesIO(b""),
                                        http_headers=StatusAndHeaders("GET / HTTP/1.1", [("Host", "three.net")], is_http_request=True)))
    w.write_record(w.create_warc_record("https://wet.org/y", "conversion", payload=io.BytesIO("Converted text.".encode()),
                                        warc_headers_dict={"Content-Type": "text/plain"}))


with open("crawl.warc", "wb") as f:
    pages(f, False)
with open("crawl.warc.gz", "wb") as f:
    pages(f, True)
