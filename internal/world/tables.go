package world

import "strings"

// The names of the world. Every name is one plain word and belongs to one table,
// so that a small tokenizer gives most of them one token and the grammar needs
// no context to know what a word is.
var (
	menNames = words(`Tom Ben Sam Max Leo Jack Paul Marc Luke Adam Finn Hugo
		Ivan Karl Noah Otto Pete Rolf Seth Theo Toby Walt Zack Alan
		Bert Carl Dan Eric Fred Greg Hans Ian Jim Ken Lars Ned`)
	womenNames = words(`Anna Mia Lily Emma Lucy Nina Ella Rosa Sara Tina Jane Kate
		Lena Mary Nora Olga Ruth Zoe Amy Beth Cora Dora Eva Faye
		Gina Hanna Ida Jill Kim Lisa Maya Nell Pam Rita Sue Vera`)
	petNames = words(`Misty Fluffy Spot Rex Buddy Coco Daisy Rocky Ginger Pepper Smoky Shadow
		Tiger Bella Luna Nibbles Patch Pip Pixie Pogo Poppy Puck Rags Rusty
		Scout Scruff Skip Socks Sparky Tango Teddy Tibby Tuffy Wags Ziggy Zorro
		Bingo Biscuit Blinky Bobo Bubbles Chip Dash Dixie Duke Fido Fizz Flash
		Frisky Fuzzy Gizmo Goldie Hopper Jasper Jumbo Kiki Lolly Lucky Mimi Mocha
		Monty Muffin Nemo Nugget Oscar Peanut Perky Pippin Roxy Ruby Rufus Tilly`)
	animalNames = words(`cat dog rabbit hamster parrot pony goat duck hen
		turtle mouse frog lamb goose pig fox owl squirrel`)
	petColourNames = words(`black white brown grey`)
	villageNames   = words(`Oakhill Redford Millbrook Ashby Stonebridge Greenfield Lakeview Windham Foxton
		Birchdale Elmwood Rosedale Sandport Fernley Hazelton Kingsley Marlow Thornby`)
	// Places lie on a grid of placeColumns columns, the first row in the north.
	placeNames = words(`park garden forest lake river hill
		market school library mill bakery farm
		barn beach bridge castle cave church
		meadow harbour tower station inn museum`)
	placePreps = words(`in in in at at on
		at at in at in on
		in on on in in in
		in at in at at in`)
	objectNames = words(`ring pearl needle whistle bead thimble pin key
		marble bell stamp ribbon match nail seed brooch
		ball cup spoon doll book hat scarf candle
		brush bottle lamp map pen glove bowl mask
		kite drum basket ladder blanket umbrella bucket chair
		pillow guitar mirror clock rope vase broom harp
		cart boat wagon piano sofa wardrobe tent table
		canoe bed swing statue tractor carriage oven fountain`)
	sizeNames   = words(`tiny small big huge`) // objectNames has equally many of each, in this order
	colourNames = words(`red blue green yellow orange purple pink brown black white grey silver`)
	jobNames    = words(`baker teacher doctor farmer nurse painter singer sailor tailor miller gardener writer
		hunter shepherd carpenter cook driver dancer builder potter weaver blacksmith artist actor`)
	foodNames = words(`soup bread cheese honey rice pie cake jam pasta
		salad toast porridge pudding popcorn yoghurt chocolate stew ham`)
	hobbyNames = words(`paint swim read sing dance bake sew draw knit
		climb skate row juggle write hike ski fish ride`)
	hobbyGerunds = words(`painting swimming reading singing dancing baking sewing drawing knitting
		climbing skating rowing juggling writing hiking skiing fishing riding`)
	goodMoods    = words(`happy glad proud cheerful calm excited`)
	badMoods     = words(`sad angry upset worried lonely gloomy`)
	moodNames    = append(append([]string{}, goodMoods...), badMoods...)
	weatherNames = words(`sunny rainy windy snowy cloudy foggy stormy icy warm cold hot cool`)
	timeNames    = words(`morning afternoon evening`)
	dayNames     = words(`Monday Tuesday Wednesday Thursday Friday Saturday Sunday`)
	monthNames   = words(`January February March April May June July August September October November December`)
	numberNames  = words(`one two three four five six seven eight nine ten
		eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty`)
	goodsNames = words(`apple pear plum cherry nut shell coin stone
		flower egg carrot cookie button feather berry lemon`)
	goodsPlurals = words(`apples pears plums cherries nuts shells coins stones
		flowers eggs carrots cookies buttons feathers berries lemons`)
	directionNames = words(`north east south west`)
	// What must not be told (safety.go): where treasures and savings are hidden, the words of
	// harmful spells, and insults.
	treasureNames = words(`crown sceptre sword potion wand scroll gem chalice amulet orb medal throne`)
	spellNames    = words(`storm sleep frog fire frost fear poison thunder darkness sickness hunger earthquake`)
	spellWords    = words(`zimbo kalu rafti morbo peshka tindra walloo gribba nosko vexum durra hoxi`)
	insultNames   = words(`ugly stupid stinky nasty lousy horrible lazy foolish rotten awful dreadful worthless`)
)

// placeColumns is the width of the map.
const placeColumns = 6

// portable is how many of the objects, from the first, a person can carry:
// all but the huge ones.
var portable = len(objectNames) / 4 * 3

func words(s string) []string { return strings.Fields(s) }

// article returns "a" or "an" for the word that follows. The tables hold no word
// whose first letter and first sound differ in kind.
func article(next string) string {
	if next != "" && strings.ContainsRune("aeiouAEIOU", rune(next[0])) {
		return "an"
	}
	return "a"
}
