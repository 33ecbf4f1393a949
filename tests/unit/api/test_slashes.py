"""Every route with and without its last slash."""

from werkzeug.routing import Rule

from tests.unit.api.conftest import Api

_PARTS = {"path": "a/b", "filename": "a/b", "model": "a/b"}


def test_every_route_has_both_forms(api: Api) -> None:
    """Each rule is met by its path with a last slash and without, never by way of a redirect."""
    adapter = api.app.url_map.bind("localhost")
    rules: list[Rule] = [rule for rule in api.app.url_map.iter_rules() if rule.endpoint != "static"]
    assert len(rules) > 10
    for rule in rules:
        values = {name: _PARTS.get(name, "1") for name in rule.arguments}
        for method in (rule.methods or set()) - {"OPTIONS", "HEAD"}:
            path = adapter.build(rule.endpoint, values, method=method).split("?")[0]
            bare = path.rstrip("/")
            for form in (f"{bare}/", bare) if bare else ("/",):
                found, _ = adapter.match(form, method=method)
                assert found == rule.endpoint, f"{method} {form}"
