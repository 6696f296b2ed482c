"""What schemathesis cannot know by itself: texts of our own formats.

The schema says which texts a format has in words only, so the generator is given some of each. Whether the server
takes them is checked as for any other text. What a step does here is over at once, so that every stream ends.
"""

import base64

import schemathesis
from hypothesis import strategies as st

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
WORDS = st.text(alphabet=LETTERS, min_size=1, max_size=40)

DEFINITIONS = [
    "retry:\n  attempts: 1\nsteps:\n  - name: a\n    run: 'true'\n",
    "retry:\n  attempts: 1\nsteps:\n  - name: a\n    run: 'false'\n",
    "steps:\n  - name: a\n    run: echo one\n  - name: b\n    run: seq 1 50\n    needs: [a]\n",
]


def cursor_of(key):
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


schemathesis.openapi.format("name", st.one_of(WORDS, st.builds("{}/{} é".format, WORDS, WORDS)))
schemathesis.openapi.format("git-branch", st.one_of(WORDS, st.builds("{}/{}".format, WORDS, WORDS)))
# None of them is there, so a checkout fails at once instead of asking a network.
schemathesis.openapi.format("git-repository", st.builds("/nonexistent/{}".format, WORDS))
schemathesis.openapi.format("pipeline-definition", st.sampled_from(DEFINITIONS))
# In upper case, since two names must not differ in case alone, which no schema can say.
schemathesis.openapi.format("input-name", st.text(alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZ_", min_size=1, max_size=30))
# The key of a list is an id or a name; an id will do for both.
schemathesis.openapi.format("cursor", st.uuids(version=4).map(lambda key: cursor_of(str(key))))
