"""Lines of JSON are sent as any other text."""

import schemathesis

schemathesis.serializer.alias("application/x-ndjson", "text/plain")
