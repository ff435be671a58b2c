"""Who stands behind a dataset, as entities of its crate: creators, institution, contact, licence."""

import re
from collections.abc import Mapping
from typing import Any

_ORCID = re.compile(r"(\d{4}-){3}\d{3}[\dX]")
_SPDX = re.compile(r"[A-Za-z0-9.+-]*\d[A-Za-z0-9.+-]*|MIT|Unlicense|ISC|Zlib|WTFPL")

Entity = dict[str, Any]


def reference(entity: Entity) -> Entity:
    """Return the reference to an entity."""
    return {"@id": entity["@id"]}


def identifier_of(path: str) -> str:
    """Return a path as RO-Crate wants it: a URI reference, letters beyond ASCII as they are."""
    kept = "-._~/!$&'()*+,;=:@"
    return "".join(
        char if char.isalnum() or char in kept else "".join(f"%{byte:02X}" for byte in char.encode()) for char in path
    )


def people_of(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `metadata` says of people, institution and licence, as entities and references."""
    entities: list[Entity] = []
    root: Entity = {}
    institution = _organization(metadata.get("institution"))
    if institution:
        entities.append(institution)
        root["publisher"] = reference(institution)
    creators = metadata.get("creators") or metadata.get("creator") or ()
    creators = [creators] if isinstance(creators, str | Mapping) else creators
    persons: list[Entity] = []
    for creator in creators:
        person, affiliation = _person(creator, institution)
        persons.append(person)
        entities += [person, *affiliation]
    if persons:
        root["creator"] = root["author"] = [reference(person) for person in persons]
    if contact := _contact(metadata.get("contact")):
        holder = institution or (persons[0] if persons else root)
        holder["contactPoint"] = reference(contact)
        entities.append(contact)
    licence = licence_of(metadata.get("license") or metadata.get("licence"))
    root["license"] = reference(licence)
    agent = reference(institution) if institution else reference(persons[0]) if persons else None
    return {"entities": entities, "licence": [licence], "root": root, "agent": agent}


def _organization(said: Any) -> Entity | None:
    if not said:
        return None
    given = {"name": said} if isinstance(said, str) else dict(said)
    name = str(given.get("name") or given.get("ror") or given.get("url"))
    url = str(given.get("ror") or given.get("url") or "")
    if url and not url.startswith("http"):
        url = f"https://ror.org/{url}"
    entity: Entity = {
        "@id": url or f"#organization-{identifier_of(name)}",
        "@type": "Organization",
        "name": name,
    }
    return entity | ({"url": url} if url else {})


def _person(said: Any, institution: Entity | None) -> tuple[Entity, list[Entity]]:
    given = {"name": said} if isinstance(said, str) else dict(said)
    name = str(
        given.get("name") or " ".join(filter(None, (given.get("given_name"), given.get("family_name")))) or "unnamed"
    )
    found = _ORCID.search(str(given.get("orcid") or given.get("ORCID") or ""))
    identifier = f"https://orcid.org/{found[0]}" if found else f"#person-{identifier_of(name)}"
    person: Entity = {"@id": identifier, "@type": "Person", "name": name}
    affiliation = _organization(given.get("affiliation")) or institution
    if affiliation:
        person["affiliation"] = reference(affiliation)
    return person, [affiliation] if affiliation and affiliation is not institution else []


def _contact(said: Any) -> Entity | None:
    if not said:
        return None
    given = ({"email": said} if "@" in said else {"name": said}) if isinstance(said, str) else dict(said)
    email = given.get("email")
    entity: Entity = {"@id": f"mailto:{email}" if email else "#contact", "@type": "ContactPoint"}
    entity["contactType"] = "customer service"
    entity["name"] = str(given.get("name") or email)
    return entity | ({"email": str(email)} if email else {})


def licence_of(said: Any) -> Entity:
    """Return the licence as stated, by its SPDX address where it is an SPDX identifier."""
    if not said:
        return {
            "@id": "#licence-not-stated",
            "@type": "CreativeWork",
            "name": "No licence was stated",
            "description": "Whoever delivered this dataset stated no licence; ask them before reusing it",
        }
    given = {"name": said} if isinstance(said, str) else dict(said)
    name = str(given.get("name") or given.get("id") or given.get("url"))
    url = str(given.get("url") or (name if name.startswith("http") else ""))
    if not url and _SPDX.fullmatch(name):
        url = f"https://spdx.org/licenses/{name}"
    entity: Entity = {"@id": url or "#licence", "@type": "CreativeWork", "name": name}
    entity["description"] = str(
        given.get("description") or f"The licence {name}, as stated; its text stands at its address"
    )
    return entity
