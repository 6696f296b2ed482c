"""What schemathesis cannot know by itself: definitions, which no pattern states.

What a step does here is over at once, so that every stream ends.
"""

import schemathesis
from hypothesis import strategies as st

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
WORDS = st.text(alphabet=LETTERS, min_size=1, max_size=40)

DEFINITIONS = [
    "retry:\n  attempts: 1\nsteps:\n  - name: a\n    run: 'true'\n",
    "retry:\n  attempts: 1\nsteps:\n  - name: a\n    run: 'false'\n",
    "steps:\n  - name: a\n    run: echo one\n  - name: b\n    run: seq 1 50\n    needs: [a]\n",
]

# None of them is there, so a checkout fails at once instead of asking a network.
schemathesis.openapi.format("git-repository", st.builds("/nonexistent/{}".format, WORDS))
# As it is, and as a regular expression.
schemathesis.openapi.format("log-pattern", WORDS)
schemathesis.openapi.format("pipeline-definition", st.sampled_from(DEFINITIONS))
