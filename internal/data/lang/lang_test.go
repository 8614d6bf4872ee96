package lang

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cria-llm/cria/internal/data/doc"
)

// Sentences of our own on everyday things: nothing of what the model was trained
// on, which is the language of law.
var sentences = map[string]string{
	"en": "Yesterday evening my sister and I walked down to the river, because the cat had not come home and we thought that she might be fishing there again.",
	"de": "Gestern Abend gingen meine Schwester und ich zum Fluss hinunter, weil die Katze nicht nach Hause gekommen war und wir dachten, dass sie dort wieder fischt.",
	"fr": "Hier soir, ma sœur et moi sommes descendus à la rivière, parce que le chat n'était pas rentré et que nous pensions qu'il y pêchait encore.",
	"es": "Ayer por la tarde mi hermana y yo bajamos al río, porque el gato no había vuelto a casa y pensábamos que estaría pescando allí otra vez.",
	"pt": "Ontem à noite, a minha irmã e eu descemos até ao rio, porque o gato não tinha voltado para casa e pensávamos que estava lá a pescar outra vez.",
	"it": "Ieri sera mia sorella e io siamo scesi al fiume, perché il gatto non era tornato a casa e pensavamo che stesse di nuovo pescando laggiù.",
	"nl": "Gisteravond liepen mijn zus en ik naar de rivier, omdat de kat niet thuis was gekomen en wij dachten dat ze daar weer aan het vissen was.",
	"sv": "I går kväll gick min syster och jag ner till floden, eftersom katten inte hade kommit hem och vi trodde att hon fiskade där igen.",
	"da": "I går aftes gik min søster og jeg ned til floden, fordi katten ikke var kommet hjem, og vi troede, at den var ude at fiske igen.",
	"pl": "Wczoraj wieczorem moja siostra i ja poszliśmy nad rzekę, ponieważ kot nie wrócił do domu i myśleliśmy, że znowu łowi tam ryby.",
	"cs": "Včera večer jsme se sestrou šli dolů k řece, protože kočka nepřišla domů a mysleli jsme si, že tam zase chytá ryby. Byla ale jen na střeše u souseda, kde spala na slunci a nechtěla s námi vůbec jít.",
	"fi": "Eilen illalla siskoni ja minä kävelimme alas joelle, koska kissa ei ollut tullut kotiin ja luulimme sen taas kalastavan siellä.",
	"hu": "Tegnap este a nővéremmel lesétáltunk a folyóhoz, mert a macska nem jött haza, és azt gondoltuk, hogy megint ott halászik.",
	"ro": "Aseară, eu și sora mea am coborât la râu, pentru că pisica nu se întorsese acasă și credeam că pescuiește din nou acolo.",
	"tr": "Dün akşam kız kardeşimle birlikte nehre indik, çünkü kedi eve gelmemişti ve yine orada balık tuttuğunu düşündük.",
	"ru": "Вчера вечером мы с сестрой спустились к реке, потому что кошка не вернулась домой и мы подумали, что она снова ловит там рыбу.",
	"uk": "Учора ввечері ми із сестрою спустилися до річки, бо кішка не повернулася додому і ми подумали, що вона знову ловить там рибу.",
	"el": "Χθες το βράδυ η αδελφή μου κι εγώ κατεβήκαμε στο ποτάμι, γιατί η γάτα δεν είχε γυρίσει σπίτι και νομίζαμε ότι ψάρευε πάλι εκεί.",
	"he": "אתמול בערב אחותי ואני ירדנו אל הנהר, כי החתולה לא חזרה הביתה וחשבנו שהיא שוב דגה שם דגים.",
	"ar": "مساء أمس نزلت أنا وأختي إلى النهر لأن القطة لم تعد إلى البيت وظننا أنها تصطاد السمك هناك مرة أخرى.",
	"fa": "دیشب من و خواهرم به سمت رودخانه رفتیم، چون گربه به خانه برنگشته بود و فکر کردیم که دوباره آنجا ماهی می\u200cگیرد.",
	"hi": "कल शाम मेरी बहन और मैं नदी की ओर गए, क्योंकि बिल्ली घर नहीं लौटी थी और हमने सोचा कि वह वहाँ फिर मछली पकड़ रही है।",
	"th": "เมื่อวานตอนเย็นน้องสาวกับฉันเดินลงไปที่แม่น้ำ เพราะแมวยังไม่กลับบ้าน",
	"ja": "昨日の夕方、妹と私は川まで歩いて行きました。猫が家に帰ってこなかったので、また魚をとっているのだと思ったからです。",
	"zh": "昨天晚上我和妹妹走到河边,因为猫没有回家,我们以为它又在那里抓鱼。",
	"ko": "어제 저녁에 여동생과 나는 강으로 내려갔다. 고양이가 집에 돌아오지 않아서 또 거기서 물고기를 잡고 있다고 생각했기 때문이다.",
	"vi": "Tối hôm qua chị gái và tôi đi xuống bờ sông, vì con mèo chưa về nhà và chúng tôi nghĩ rằng nó lại đang bắt cá ở đó.",
}

func TestDetect(t *testing.T) {
	for code, text := range sentences {
		if g := Detect(text); g.Lang != code || g.Confidence < 0.5 {
			t.Errorf("%s is taken for %q (%.2f): %s", code, g.Lang, g.Confidence, text)
		}
	}
}

// TestNoLanguage: what is in no language is said to be in none.
func TestNoLanguage(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	random := make([]byte, 600)
	for i := range random {
		random[i] = "bcdfghjklmnpqrstvwxz 0123456789"[rng.IntN(31)]
	}
	for _, text := range []string{
		"", "  \n", "12345 67.89 -- 10/12", string(random),
		"for (i=0;i<n;i++){ buf[i]^=key[i%k]; x=(x<<13)|(x>>19); } #ifdef __GNUC__ xmm0, xmm1, vpxor ymm2 %%rdx",
		strings.Repeat("TGCATTGCAGGTCCAT", 40), "\xff\xfe\x00\x80",
	} {
		if g := Detect(text); g.Lang != "" {
			t.Errorf("%q is taken for %q (%.2f)", doc.Clip(text, 60), g.Lang, g.Confidence)
		}
	}
}

// TestLongTextIsSampledAllOver: a foreign head does not decide.
func TestLongTextIsSampledAllOver(t *testing.T) {
	text := strings.Repeat(sentences["fr"]+" ", 2) + strings.Repeat(sentences["en"]+" ", 60)
	if g := Detect(text); g.Lang != "en" {
		t.Errorf("an English text with a French head is taken for %q", g.Lang)
	}
}

// TestBooks: every piece of the books that is long enough is English.
func TestBooks(t *testing.T) {
	wrong, all := 0, 0
	for _, book := range books(t) {
		for at := 0; at+1000 < len(book); at += 20_000 {
			all++
			if g := Detect(book[at : at+1000]); g.Lang != "en" || g.Confidence < 0.65 {
				wrong++
				t.Logf("%q (%.2f): %q", g.Lang, g.Confidence, doc.Clip(book[at:], 80))
			}
		}
	}
	if all < 300 || wrong*100 > all {
		t.Errorf("%d of %d pieces of English books are not taken for English", wrong, all)
	}
}

func TestStep(t *testing.T) {
	s, err := New(Default())
	if err != nil {
		t.Fatal(err)
	}
	var st doc.Stats
	for text, want := range map[string]string{sentences["en"]: "", sentences["de"]: "language.other", "12345": "language.unknown"} {
		d := doc.Document{Text: text}
		drop := s.Process(&d, &st)
		if got := drop; want == "" && got != nil || want != "" && (got == nil || got.Rule != want) {
			t.Errorf("%q: %v, want %q", text, got, want)
		}
	}
	if st.Counts["language.en"] != 1 || st.Counts["language.de"] != 1 || st.Counts["language.unknown"] != 1 {
		t.Errorf("counts %v", st.Counts)
	}
	if s, err = New(Config{}); err != nil {
		t.Fatal(err)
	}
	d := doc.Document{Text: sentences["de"]}
	if drop := s.Process(&d, &st); drop != nil || d.Lang != "de" {
		t.Errorf("all languages: %v, %q", drop, d.Lang)
	}
	if _, err := New(Config{Keep: []string{"english"}}); err == nil || !strings.Contains(err.Error(), `language.keep[0] is "english": known are af am ar`) {
		t.Errorf("got %v", err)
	}
}

func FuzzDetect(f *testing.F) {
	f.Add(sentences["ja"], 3)
	f.Fuzz(func(t *testing.T, s string, n int) {
		g := Detect(strings.Repeat(s, 1+(n&0xff)))
		if g.Confidence < 0 || g.Confidence > 1.000001 || (g.Lang == "") != (g.Confidence == 0) {
			t.Errorf("%q: %+v", s, g)
		}
	})
}

func books(tb testing.TB) []string {
	root := os.Getenv("CRIA_TEST_DATA")
	if root == "" {
		root = "../../../../shared/data"
	}
	files, _ := filepath.Glob(filepath.Join(root, "text/gutenberg/*.txt"))
	if len(files) == 0 {
		tb.Skip("no Gutenberg books in ../shared/data/text or $CRIA_TEST_DATA")
	}
	var all []string
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, string(b))
	}
	return all
}

// BenchmarkDetect is of documents of 4 kB.
func BenchmarkDetect(b *testing.B) {
	book := books(b)[0]
	b.SetBytes(4096)
	for i := 0; b.Loop(); i++ {
		at := i * 4096 % (len(book) - 4096)
		Detect(book[at : at+4096])
	}
}
