"""The Compose specification's keys: a play's body, or a Compose file, checked and made into the model.

One table per kind of section says which keys there are, how each is read and what it means; the documentation is held
against the same tables. Nothing here renders templates: values come in as they are to be taken.
"""
