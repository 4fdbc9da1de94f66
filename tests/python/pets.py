"""A small API that describes itself. Prints where it listens, and serves until it is ended."""

import enum
import socket

import uvicorn
from fastapi import FastAPI, Header, HTTPException, Query, UploadFile
from pydantic import BaseModel, Field


class Kind(str, enum.Enum):
    cat = "cat"
    dog = "dog"


class NewPet(BaseModel):
    name: str = Field(min_length=1, description="What it listens to.")
    kind: Kind = Kind.cat
    nick: str | None = None
    friends: list["NewPet"] = []


class Pet(NewPet):
    id: int


app = FastAPI(title="Pets")
pets: dict[int, Pet] = {}


@app.get("/pets", tags=["pets"])
def list_pets(
    kind: Kind | None = None,
    tag: list[str] = Query(default=[]),
    limit: int = Query(default=20, le=100),
    x_request_source: str | None = Header(default=None),
) -> dict:
    """Lists the pets of a kind."""
    found = [pet for pet in pets.values() if kind in (None, pet.kind)]
    return {"pets": found[:limit], "tags": tag, "source": x_request_source}


@app.post("/pets", status_code=201, tags=["pets"])
def add_pet(new: NewPet) -> Pet:
    """Adds a pet."""
    pet = Pet(id=len(pets) + 1, **new.model_dump())
    pets[pet.id] = pet
    return pet


@app.get("/pets/{pet_id}", tags=["pets"])
def get_pet(pet_id: int) -> Pet:
    """Tells everything about a pet."""
    if pet_id not in pets:
        raise HTTPException(404, f"there is no pet {pet_id}")
    return pets[pet_id]


@app.delete("/pets/{pet_id}", status_code=204, tags=["admin"])
def remove_pet(pet_id: int) -> None:
    """Removes a pet."""
    pets.pop(pet_id, None)


@app.post("/pets/{pet_id}/picture", tags=["pets"])
async def upload_picture(pet_id: int, picture: UploadFile) -> dict:
    """Stores a picture of a pet."""
    return {"pet": pet_id, "bytes": len(await picture.read())}


if __name__ == "__main__":
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    # Whoever comes before the server is up waits instead of being refused.
    listener.listen()
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(app, log_level="warning")
    uvicorn.Server(config).run(sockets=[listener])
