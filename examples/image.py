"""Make a picture at 16:9 and 2K, write it to a file, and change it."""

from pathlib import Path

from gateway import IMAGE_MODEL, configure
from gemway import Client

configure()
client = Client()
folder = Path("out")
folder.mkdir(exist_ok=True)

fox = client.generate_image("a neon fox, cinematic", model=IMAGE_MODEL, aspect_ratio="16:9", image_size="2K").images[0]
print(f"{fox.width}x{fox.height} pixels:", fox.save(folder / "fox.png", rename=True))

night = client.generate_image("make it night", model=IMAGE_MODEL, images=[fox]).images[0]
print(f"{night.width}x{night.height} pixels:", night.save(folder / "fox-at-night.png", rename=True))
