"""An MCP server as people write it with FastMCP."""

import asyncio
import sys

from fastmcp import Context, FastMCP

mcp = FastMCP("story", instructions="Add and count.")


@mcp.tool
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


@mcp.tool
async def count(to: int, context: Context) -> str:
    """Counts and tells how far it has got."""
    for step in range(1, to + 1):
        await context.report_progress(step, to, f"step {step}")
        await asyncio.sleep(0)
    return f"counted to {to}"


@mcp.tool
async def greet(context: Context) -> str:
    """Asks for a name."""
    answer = await context.elicit("Who are you?", response_type=str)
    return f"Hello, {answer.data}!" if answer.action == "accept" else "Hello!"


@mcp.resource("story://{name}")
def story(name: str) -> str:
    """A story about somebody."""
    return f"The story of {name}"


@mcp.prompt
def poem(about: str) -> str:
    """Asks for a poem."""
    return f"Write a poem about {about}"


if __name__ == "__main__":
    if len(sys.argv) > 1:
        mcp.run(transport="http", host="127.0.0.1", port=int(sys.argv[1]), show_banner=False)
    else:
        mcp.run(show_banner=False)
