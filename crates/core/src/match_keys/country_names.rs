//! What countries are called.

/// The assigned codes of ISO 3166-1, each with its alpha-3 code and its names, divided by `;`. A country with
/// more names than fit stands on several lines. Codes and formal names are those of ISO 3166; the names in
/// English, Portuguese, Spanish, French, German, Italian, Dutch and each country's own official languages
/// those of the Unicode CLDR; everyday names (`UK`, `EUA`, `Holanda`) are added by hand.
pub(super) const COUNTRIES: &str = "
ad and; Andorra; Principality of Andorra; Andorre
ae are; United Arab Emirates; UAE; Emirates; EAU; Emirados Árabes Unidos; Emiratos Árabes Unidos
ae Émirats arabes unis; Vereinigte Arabische Emirate; Emirati Arabi Uniti; Verenigde Arabische Emiraten
ae الإمارات العربية المتحدة
af afg; Afghanistan; Islamic Republic of Afghanistan; Afeganistão; Afganistán; افغانستان
ag atg; Antigua & Barbuda; Antigua and Barbuda; Antígua e Barbuda; Antigua y Barbuda; Antigua-et-Barbuda
ag Antigua und Barbuda; Antigua en Barbuda
ai aia; Anguilla; Anguila
al alb; Albania; Republic of Albania; Albanie; Albanien; Shqipëri
am arm; Armenia; Republic of Armenia; Arménie; Armenien; Հայաստան
ao ago; Angola; Republic of Angola
aq ata; Antarctica; Antártida; Antarctique; Antarktis; Antartide
ar arg; Argentina; Argentine Republic; República Argentina; Argentine; Argentinien; Argentinië
as asm; American Samoa; Samoa Americana; Samoa américaines; Amerikanisch-Samoa; Samoa Americane
as Amerikaans-Samoa
at aut; Austria; Republic of Austria; Autriche; Österreich; Oostenrijk
au aus; Australia; Australie; Australien
aw abw; Aruba
ax ala; Åland Islands; Ilhas Aland; Islas Aland; Îles Åland; Ålandinseln; Isole Åland; Åland; Alanda
az aze; Azerbaijan; Republic of Azerbaijan; Azerbaijão; Azerbaiyán; Azerbaïdjan; Aserbaidschan; Azerbaigian
az Azerbeidzjan; Azərbaycan; Азәрбајҹан
ba bih; Bosnia & Herzegovina; Bosnia and Herzegovina; Republic of Bosnia and Herzegovina; Bosnia
ba Bósnia e Herzegovina; Bosnia y Herzegovina; Bosnie-Herzégovine; Bosnien und Herzegowina
ba Bosnia ed Erzegovina; Bosnië en Herzegovina; Босна и Херцеговина; Bosna i Hercegovina
bb brb; Barbados; Barbade
bd bgd; Bangladesh; People's Republic of Bangladesh; Bangladés; Bangladesch; Bangladeche; বাংলাদেশ
be bel; Belgium; Kingdom of Belgium; Bélgica; Belgique; Belgien; Belgio; België
bf bfa; Burkina Faso; Burquina Faso
bg bgr; Bulgaria; Republic of Bulgaria; Bulgarie; Bulgarien; Bulgarije; България
bh bhr; Bahrain; Kingdom of Bahrain; Barein; Bahreïn; Barém; البحرين
bi bdi; Burundi; Republic of Burundi; Uburundi
bj ben; Benin; Republic of Benin; Benim
bl blm; St. Barthélemy; Saint Barthélemy; São Bartolomeu; San Bartolomé
bm bmu; Bermuda; Bermudas; Bermudes
bn brn; Brunei; Brunei Darussalam; بروني
bo bol; Bolivia; Bolivia, Plurinational State of; Plurinational State of Bolivia; Bolivie; Bolivien
bq bes; Caribbean Netherlands; Bonaire, Sint Eustatius and Saba; Bonairesinteustatinsandsaba
bq Países Baixos Caribenhos; Caribe neerlandés; Pays-Bas caribéens; Karibische Niederlande; Caraibi Olandesi
bq Caribisch Nederland
br bra; Brazil; Federative Republic of Brazil; República Federativa do Brasil; Brasil; Brésil; Brasilien
br Brasile; Brazilië
bs bhs; Bahamas; Commonwealth of the Bahamas; The Bahamas; Baamas
bt btn; Bhutan; Kingdom of Bhutan; Butão; Bután; Bhoutan; འབྲུག
bv bvt; Bouvet Island; Ilha Bouvet; Isla Bouvet; Île Bouvet; Bouvetinsel; Isola Bouvet; Bouveteiland
bw bwa; Botswana; Republic of Botswana; Botsuana
by blr; Belarus; Republic of Belarus; Bielorrússia; Bielorrusia; Biélorussie; Bielorussia; Беларусь
bz blz; Belize; Belice
ca can; Canada; Kanada
cc cck; Cocos (Keeling) Islands; Ilhas Cocos (Keeling); Islas Cocos; Îles Cocos; Kokosinseln
cc Isole Cocos (Keeling); Cocoseilanden; Ilhas dos Cocos (Keeling)
cd cod; Congo - Kinshasa; Congo, The Democratic Republic of the; DR Congo; Democratic Republic of the Congo
cd DRC; Zaire; República Democrática del Congo; Kongo-Kinshasa
cf caf; Central African Republic; República Centro-Africana; République centrafricaine
cf Zentralafrikanische Republik; Repubblica Centrafricana; Centraal-Afrikaanse Republiek
cf Ködörösêse tî Bêafrîka
cg cog; Congo - Brazzaville; Congo; Republic of the Congo; República do Congo; Kongo-Brazzaville
ch che; Switzerland; Swiss Confederation; Suíça; Suiza; Suisse; Schweiz; Svizzera; Zwitserland; Schwiiz
ci civ; Côte d’Ivoire; Côte d'Ivoire; Republic of Côte d'Ivoire; Ivory Coast; Costa do Marfim
ci Costa d’Avorio; Ivoorkust; Côte d’Ivoire (Costa do Marfim)
ck cok; Cook Islands; Ilhas Cook; Islas Cook; Îles Cook; Cookinseln; Isole Cook; Cookeilanden
cl chl; Chile; Republic of Chile; Chili; Cile
cm cmr; Cameroon; Republic of Cameroon; Camarões; Camerún; Cameroun; Kamerun; Kameroen
cn chn; China; People's Republic of China; PRC; Mainland China; Chine; Cina; 中国
co col; Colombia; Republic of Colombia; Colombie; Kolumbien
cr cri; Costa Rica; Republic of Costa Rica
cu cub; Cuba; Republic of Cuba; Kuba
cv cpv; Cape Verde; Cabo Verde; Republic of Cabo Verde; Cap-Vert; Capo Verde; Kaapverdië
cw cuw; Curaçao; Curazao; Curaçau; Kòrsou
cx cxr; Christmas Island; Ilha Christmas; Isla de Navidad; Île Christmas; Weihnachtsinsel; Isola Christmas
cx Christmaseiland; Ilha do Natal
cy cyp; Cyprus; Republic of Cyprus; Kıbrıs; Chipre; Chypre; Zypern; Cipro; Κύπρος
cz cze; Czechia; Czech Republic; República Tcheca; República Checa; Tchéquia; Chequia; Tchéquie; Tschechien
cz Cechia; Tsjechië; Česko
de deu; Germany; Federal Republic of Germany; Alemanha; Alemania; Allemagne; Deutschland; Germania
de Duitsland
dj dji; Djibouti; Republic of Djibouti; Djibuti; Yibuti; Dschibuti; Gibuti; Jibuti; جيبوتي
dk dnk; Denmark; Kingdom of Denmark; Dinamarca; Danemark; Danimarca; Denemarken; Danmark
dm dma; Dominica; Commonwealth of Dominica; Dominique
do dom; Dominican Republic; República Dominicana; Dominican Rep.; République dominicaine
do Dominikanische Republik; Repubblica Dominicana; Dominicaanse Republiek
dz dza; Algeria; People's Democratic Republic of Algeria; Argélia; Algérie; Algerien; Algerije; الجزائر
ec ecu; Ecuador; Republic of Ecuador; Equador; Équateur
ee est; Estonia; Republic of Estonia; Estonie; Estland; Eesti
eg egy; Egypt; Arab Republic of Egypt; Egipto; Egito; Égypte; Ägypten; Egitto; مصر
eh esh; Western Sahara; Saara Ocidental; Sáhara Occidental; Westsahara; Sahara Occidentale
eh Westelijke Sahara; Sara Ocidental; الصحراء الغربية
er eri; Eritrea; the State of Eritrea; Eritreia; Érythrée; ኤርትራ; إريتريا
es esp; Spain; Kingdom of Spain; Espanha; España; Espagne; Spanien; Spagna; Spanje
et eth; Ethiopia; Federal Democratic Republic of Ethiopia; Etiópia; Éthiopie; Äthiopien; ኢትዮጵያ
fi fin; Finland; Republic of Finland; Finlândia; Finlande; Finnland; Suomi
fj fji; Fiji; Republic of Fiji; Fiyi; Fidji; Fidschi; Figi
fk flk; Falkland Islands; Falkland Islands (Malvinas); Ilhas Malvinas; Islas Malvinas; Îles Malouines
fk Falklandinseln; Isole Falkland; Falklandeilanden; Ilhas Falkland
fm fsm; Micronesia; Micronesia, Federated States of; Federated States of Micronesia; Micronésie; Mikronesien
fo fro; Faroe Islands; Ilhas Faroé; Islas Feroe; Îles Féroé; Färöer; Isole Fær Øer; Faeröer; Føroyar
fr fra; France; French Republic; França; Francia; Frankreich; Frankrijk
ga gab; Gabon; Gabonese Republic; Gabão; Gabun
gb gbr; United Kingdom; United Kingdom of Great Britain and Northern Ireland; UK; Great Britain; Britain
gb England; Scotland; Wales; Northern Ireland; Inglaterra; Escócia; Grã-Bretanha; Gran Bretaña
gb País de Gales; Irlanda do Norte; Reino Unido; Royaume-Uni; Vereinigtes Königreich; Regno Unito
gb Verenigd Koninkrijk
gd grd; Grenada; Granada; Grenade
ge geo; Georgia; Géorgie; Georgien; საქართველო
gf guf; French Guiana; Guiana Francesa; Guayana Francesa; Guyane française; Französisch-Guayana
gf Guyana Francese; Frans-Guyana
gg ggy; Guernsey; Guernesey
gh gha; Ghana; Republic of Ghana; Gana
gi gib; Gibraltar; Gibilterra
gl grl; Greenland; Groenlândia; Groenland; Grönland; Gronelândia; Kalaallit Nunaat
gm gmb; Gambia; Republic of the Gambia; The Gambia; Gambie
gn gin; Guinea; Republic of Guinea; Guiné; Guinée
gp glp; Guadeloupe; Guadalupe; Guadalupa
gq gnq; Equatorial Guinea; Republic of Equatorial Guinea; Guiné Equatorial; Guinea Ecuatorial
gq Guinée équatoriale; Äquatorialguinea; Guinea Equatoriale; Equatoriaal-Guinea
gr grc; Greece; Hellenic Republic; Grécia; Grèce; Griechenland; Griekenland; Ελλάδα
gs sgs; South Georgia & South Sandwich Islands; South Georgia and the South Sandwich Islands
gs Ilhas Geórgia do Sul e Sandwich do Sul; Islas Georgia del Sur y Sandwich del Sur
gs Géorgie du Sud-et-les Îles Sandwich du Sud; Südgeorgien und die Südlichen Sandwichinseln
gs Georgia del Sud e Sandwich Australi; Zuid-Georgia en Zuidelijke Sandwicheilanden
gt gtm; Guatemala; Republic of Guatemala
gu gum; Guam; Guame
gw gnb; Guinea-Bissau; Republic of Guinea-Bissau; Guiné-Bissau; Guinea-Bisáu; Guinée-Bissau
gy guy; Guyana; Republic of Guyana; Guiana
hk hkg; Hong Kong SAR China; Hong Kong; Hong Kong Special Administrative Region of China
hk Hong Kong, RAE da China; RAE de Hong Kong (China); R.A.S. chinoise de Hong Kong
hk Sonderverwaltungsregion Hongkong; RAS di Hong Kong; Hongkong SAR van China; 中國香港特別行政區
hm hmd; Heard & McDonald Islands; Heard Island and McDonald Islands; Ilhas Heard e McDonald
hm Islas Heard y McDonald; Îles Heard-et-MacDonald; Heard und McDonaldinseln; Isole Heard e McDonald
hm Heard en McDonaldeilanden
hn hnd; Honduras; Republic of Honduras
hr hrv; Croatia; Republic of Croatia; Croácia; Croatie; Kroatien; Croazia; Kroatië; Hrvatska
ht hti; Haiti; Republic of Haiti
hu hun; Hungary; Hungria; Hongrie; Ungarn; Ungheria; Hongarije; Magyarország
id idn; Indonesia; Republic of Indonesia; Indonésie; Indonesien
ie irl; Ireland; Irlanda; Irlande; Irland; Ierland; Éire
il isr; Israel; State of Israel; Israele; ישראל; إسرائيل
im imn; Isle of Man; Ilha de Man; Isla de Man; Île de Man; Isola di Man; Ellan Vannin
in ind; India; Republic of India; Bharat; Inde; Indien; भारत
io iot; British Indian Ocean Territory; Território Britânico do Oceano Índico
io Territorio Británico del Océano Índico; Territoire britannique de l’océan Indien
io Britisches Territorium im Indischen Ozean; Territorio Britannico dell’Oceano Indiano
io Brits Indische Oceaanterritorium
iq irq; Iraq; Republic of Iraq; Iraque; Irak; العراق
ir irn; Iran; Iran, Islamic Republic of; Islamic Republic of Iran; Irã; Irão; ایران
is isl; Iceland; Republic of Iceland; Islândia; Islande; Island; Islanda; IJsland
it ita; Italy; Italian Republic; Itália; Italie; Italien
je jey; Jersey
jm jam; Jamaica; Jamaïque; Jamaika; Giamaica
jo jor; Jordan; Hashemite Kingdom of Jordan; Jordânia; Jordanie; Jordanien; Giordania; الأردن
jp jpn; Japan; 日本; Japão; Japón; Giappone
ke ken; Kenya; Republic of Kenya; Quênia; Kenia
kg kgz; Kyrgyzstan; Kyrgyz Republic; Quirguistão; Kirguistán; Kirghizstan; Kirgisistan; Kirghizistan
kg Kirgizië; Кыргызстан; Киргизия
kh khm; Cambodia; Kingdom of Cambodia; Camboja; Camboya; Cambodge; Kambodscha; Cambogia; Cambodja; កម្ពុជា
ki kir; Kiribati; Republic of Kiribati; Quiribati
km com; Comoros; Union of the Comoros; Comores; Comoras; Komoren; Comore; Comoren; جزر القمر
kn kna; St. Kitts & Nevis; Saint Kitts and Nevis; São Cristóvão e Névis; San Cristóbal y Nieves
kn Saint-Christophe-et-Niévès; St. Kitts und Nevis; Saint Kitts e Nevis; Saint Kitts en Nevis
kn São Cristóvão e Neves
kp prk; North Korea; Korea, Democratic People's Republic of; Democratic People's Republic of Korea
kp Coréia do Norte; Corea del Norte; Corée du Nord; Nordkorea; Corea del Nord; Noord-Korea; 북한
kr kor; South Korea; Korea, Republic of; Republic of Korea; Korea; Coreia; Coréia do Sul; Corea
kr Corea del Sur; Corée du Sud; Südkorea; Corea del Sud; Zuid-Korea; 대한민국
kw kwt; Kuwait; State of Kuwait; Koweït; Koeweit; الكويت
ky cym; Cayman Islands; Ilhas Cayman; Islas Caimán; Îles Caïmans; Kaimaninseln; Isole Cayman
ky Kaaimaneilanden; Ilhas Caimão
kz kaz; Kazakhstan; Republic of Kazakhstan; Cazaquistão; Kazajistán; Kasachstan; Kazakistan; Kazachstan
kz Казахстан; Қазақстан
la lao; Laos; Lao People's Democratic Republic; ລາວ
lb lbn; Lebanon; Lebanese Republic; Líbano; Liban; Libanon; لبنان
lc lca; St. Lucia; Saint Lucia; Santa Lúcia; Sainte-Lucie
li lie; Liechtenstein; Principality of Liechtenstein; Listenstaine; Liächteschtäi
lk lka; Sri Lanka; Democratic Socialist Republic of Sri Lanka; Sri Lanca; ශ්‍රී ලංකාව; இலங்கை
lr lbr; Liberia; Republic of Liberia
ls lso; Lesotho; Kingdom of Lesotho; Lesoto
lt ltu; Lithuania; Republic of Lithuania; Lituânia; Lituanie; Litauen; Litouwen; Lietuva
lu lux; Luxembourg; Grand Duchy of Luxembourg; Luxemburgo; Luxemburg; Lussemburgo; Lëtzebuerg
lv lva; Latvia; Republic of Latvia; Letônia; Lettonie; Lettland; Lettonia; Letland; Latvija
ly lby; Libya; Líbia; Libye; Libyen; Libië; ليبيا
ma mar; Morocco; Kingdom of Morocco; Marrocos; Marruecos; Maroc; Marokko; Marocco; المغرب; Meṛṛuk
mc mco; Monaco; Principality of Monaco
md mda; Moldova; Moldova, Republic of; Republic of Moldova; Moldávia; Moldavie; Republik Moldau
md Republica Moldova
me mne; Montenegro; Crna Gora
mf maf; St. Martin; Saint Martin (French part); São Martinho; San Martín; Saint-Martin
mf São Martinho (Saint-Martin)
mg mdg; Madagascar; Republic of Madagascar; Madagaskar; Madagasikara
mh mhl; Marshall Islands; Republic of the Marshall Islands; Ilhas Marshall; Islas Marshall; Îles Marshall
mh Marshallinseln; Isole Marshall; Marshalleilanden
mk mkd; North Macedonia; Republic of North Macedonia; Macedonia; Macedoniatheformeryugoslavrepublicof
mk Macedônia do Norte; Macedonia del Norte; Macédoine du Nord; Nordmazedonien; Macedonia del Nord
mk Noord-Macedonië; Северна Македонија
ml mli; Mali; Republic of Mali
mm mmr; Myanmar (Burma); Myanmar; Republic of Myanmar; Burma; Mianmar (Birmânia); Myanmar (Birmania)
mm Myanmar (Birmanie); Myanmar (Birma); မြန်မာ
mn mng; Mongolia; Mongolie; Mongolei; Монгол
mo mac; Macao SAR China; Macao; Macao Special Administrative Region of China; Macau; Macau, RAE da China
mo RAE de Macao (China); R.A.S. chinoise de Macao; Sonderverwaltungsregion Macau; RAS di Macao
mo Macau SAR van China; 中國澳門特別行政區
mp mnp; Northern Mariana Islands; Commonwealth of the Northern Mariana Islands; Ilhas Marianas do Norte
mp Islas Marianas del Norte; Îles Mariannes du Nord; Nördliche Marianen; Isole Marianne Settentrionali
mp Noordelijke Marianen
mq mtq; Martinique; Martinica
mr mrt; Mauritania; Islamic Republic of Mauritania; Mauritanie; Mauretanien; موريتانيا
ms msr; Montserrat; Monserrate
mt mlt; Malta; Republic of Malta; Malte
mu mus; Mauritius; Republic of Mauritius; Maurício; Maurice; Maurícia
mv mdv; Maldives; Republic of Maldives; Maldivas; Malediven; Maldive; Maldiven; ދިވެހި ރާއްޖެ
mw mwi; Malawi; Republic of Malawi; Malaui
mx mex; Mexico; United Mexican States; Estados Unidos Mexicanos; Méjico; Mexique; Mexiko; Messico
my mys; Malaysia; Malásia; Malaisie; Maleisië
mz moz; Mozambique; Republic of Mozambique; Moçambique; Mosambik; Mozambico
na nam; Namibia; Republic of Namibia; Namibie
nc ncl; New Caledonia; Nova Caledônia; Nueva Caledonia; Nouvelle-Calédonie; Neukaledonien; Nuova Caledonia
nc Nieuw-Caledonië
ne ner; Niger; Republic of the Niger
nf nfk; Norfolk Island; Ilha Norfolk; Isla Norfolk; Île Norfolk; Norfolkinsel; Isola Norfolk; Norfolk
ng nga; Nigeria; Federal Republic of Nigeria; Nàìjíríà
ni nic; Nicaragua; Republic of Nicaragua
nl nld; Netherlands; Kingdom of the Netherlands; Holland; The Netherlands; Holanda; Nederland; Países Baixos
nl Países Bajos; Pays-Bas; Niederlande; Paesi Bassi
no nor; Norway; Kingdom of Norway; Noruega; Norvège; Norwegen; Norvegia; Noorwegen; Norge; Noreg
np npl; Nepal; Federal Democratic Republic of Nepal; नेपाल
nr nru; Nauru; Republic of Nauru
nu niu; Niue
nz nzl; New Zealand; Nova Zelândia; Nueva Zelanda; Nouvelle-Zélande; Neuseeland; Nuova Zelanda
nz Nieuw-Zeeland; Aotearoa
om omn; Oman; Sultanate of Oman; Omã; عُمان
pa pan; Panama; Republic of Panama
pe per; Peru; Republic of Peru; Pérou
pf pyf; French Polynesia; Polinésia Francesa; Polynésie française; Französisch-Polynesien
pf Polinesia Francese; Frans-Polynesië
pg png; Papua New Guinea; Independent State of Papua New Guinea; Papua-Nova Guiné; Papúa Nueva Guinea
pg Papouasie-Nouvelle-Guinée; Papua-Neuguinea; Papua Nuova Guinea; Papoea-Nieuw-Guinea; Papua Niugini
ph phl; Philippines; Republic of the Philippines; The Philippines; Filipinas; Philippinen; Filippine
ph Filipijnen; Pilipinas
pk pak; Pakistan; Islamic Republic of Pakistan; Paquistão; پاکستان
pl pol; Poland; Republic of Poland; Polônia; Pologne; Polen; Polska
pm spm; St. Pierre & Miquelon; Saint Pierre and Miquelon; São Pedro e Miquelão; San Pedro y Miquelón
pm Saint-Pierre-et-Miquelon; St. Pierre und Miquelon; Saint-Pierre e Miquelon; Saint-Pierre en Miquelon
pn pcn; Pitcairn Islands; Pitcairn; Ilhas Pitcairn; Islas Pitcairn; Îles Pitcairn; Pitcairninseln
pn Isole Pitcairn; Pitcairneilanden
pr pri; Puerto Rico; Porto Rico
ps pse; Palestinian Territories; Palestine, State of; the State of Palestine; Palestine; Palestina
ps Territórios palestinos; Territoires palestiniens; Palästinensische Autonomiegebiete
ps Territori Palestinesi; Palestijnse gebieden; Territórios palestinianos; الأراضي الفلسطينية
pt prt; Portugal; Portuguese Republic; República Portuguesa; Portogallo
pw plw; Palau; Republic of Palau; Palaos
py pry; Paraguay; Republic of Paraguay; Paraguai
qa qat; Qatar; State of Qatar; Catar; Katar; قطر
re reu; Réunion; Reunião; La Réunion; Riunione
ro rou; Romania; Romênia; Rumanía; Roumanie; Rumänien; Roemenië
rs srb; Serbia; Republic of Serbia; Sérvia; Serbie; Serbien; Servië; Srbija; Србија
ru rus; Russia; Russian Federation; Federação Russa; Rusia; Russie; Russland; Rusland; Россия
rw rwa; Rwanda; Rwandese Republic; Ruanda; U Rwanda
sa sau; Saudi Arabia; Kingdom of Saudi Arabia; KSA; Arábia Saudita; Arabia Saudí; Arabie saoudite
sa Saudi-Arabien; Saoedi-Arabië; المملكة العربية السعودية
sb slb; Solomon Islands; Ilhas Salomão; Islas Salomón; Îles Salomon; Salomonen; Isole Salomone
sb Salomonseilanden
sc syc; Seychelles; Republic of Seychelles; Seicheles; Seychellen
sd sdn; Sudan; Republic of the Sudan; Sudão; Soudan; Soedan; السودان
se swe; Sweden; Kingdom of Sweden; Suécia; Suède; Schweden; Svezia; Zweden; Sverige
sg sgp; Singapore; Republic of Singapore; Singapura; Singapur; Singapour; 新加坡; சிங்கப்பூர்
sh shn; St. Helena; Saint Helena, Ascension and Tristan da Cunha; Santa Helena; Santa Elena; Sainte-Hélène
sh Sant’Elena; Sint-Helena
si svn; Slovenia; Republic of Slovenia; Eslovênia; Slovénie; Slowenien; Slovenija
sj sjm; Svalbard & Jan Mayen; Svalbard and Jan Mayen; Svalbard e Jan Mayen; Svalbard y Jan Mayen
sj Svalbard et Jan Mayen; Spitzbergen und Jan Mayen; Spitsbergen en Jan Mayen; Svalbard og Jan Mayen
sk svk; Slovakia; Slovak Republic; Eslováquia; Slovaquie; Slowakei; Slovacchia; Slowakije; Slovensko
sl sle; Sierra Leone; Republic of Sierra Leone; Serra Leoa; Sierra Leona
sm smr; San Marino; Republic of San Marino; Saint-Marin; São Marinho
sn sen; Senegal; Republic of Senegal; Senegaal
so som; Somalia; Federal Republic of Somalia; Somalie; Soomaaliya; الصومال
sr sur; Suriname; Republic of Suriname; Surinam
ss ssd; South Sudan; Republic of South Sudan; Sudão do Sul; Sudán del Sur; Soudan du Sud; Südsudan
ss Zuid-Soedan
st stp; São Tomé & Príncipe; Sao Tome and Principe; Democratic Republic of Sao Tome and Principe
st São Tomé e Príncipe; Santo Tomé y Príncipe; Sao Tomé-et-Principe; São Tomé und Príncipe
st Sao Tomé en Principe
sv slv; El Salvador; Republic of El Salvador; Salvador
sx sxm; Sint Maarten; Sint Maarten (Dutch part); Sintmaartenductchpart; Saint-Martin (partie néerlandaise)
sx São Martinho (Sint Maarten)
sy syr; Syria; Syrian Arab Republic; Síria; Syrie; Syrien; سوريا
sz swz; Eswatini; Kingdom of Eswatini; Swaziland; Essuatíni; Esuatini
tc tca; Turks & Caicos Islands; Turks and Caicos Islands; Ilhas Turcas e Caicos; Islas Turcas y Caicos
tc Îles Turques-et-Caïques; Turks- und Caicosinseln; Isole Turks e Caicos; Turks- en Caicoseilanden
td tcd; Chad; Republic of Chad; Chade; Tchad; Tschad; Ciad; Tsjaad; تشاد
tf atf; French Southern Territories; Territórios Franceses do Sul; Territorios Australes Franceses
tf Terres australes françaises; Französische Süd- und Antarktisgebiete; Terre Australi Francesi
tf Franse Gebieden in de zuidelijke Indische Oceaan; Territórios Austrais Franceses
tg tgo; Togo; Togolese Republic
th tha; Thailand; Kingdom of Thailand; Tailândia; Thaïlande; Thailandia; ไทย
tj tjk; Tajikistan; Republic of Tajikistan; Tadjiquistão; Tayikistán; Tadjikistan; Tadschikistan; Tagikistan
tj Tadzjikistan; Tajiquistão; Тоҷикистон
tk tkl; Tokelau; Toquelau
tl tls; Timor-Leste; Democratic Republic of Timor-Leste; Easttimor; Timor oriental; Timor Est; Oost-Timor
tm tkm; Turkmenistan; Turcomenistão; Turquemenistão
tn tun; Tunisia; Republic of Tunisia; Túnez; Tunisie; Tunesien; Tunesië; تونس
to ton; Tonga; Kingdom of Tonga
tr tur; Türkiye; Republic of Türkiye; Turkey; Turquia; Turquie; Türkei; Turchia; Turkije
tt tto; Trinidad & Tobago; Trinidad and Tobago; Republic of Trinidad and Tobago; Trinidad e Tobago
tt Trinidad y Tobago; Trinité-et-Tobago; Trinidad und Tobago; Trinidad en Tobago; Trindade e Tobago
tv tuv; Tuvalu
tw twn; Taiwan; Taiwan, Province of China; 台灣
tz tza; Tanzania; Tanzania, United Republic of; United Republic of Tanzania; Tanzanie; Tansania
ua ukr; Ukraine; The Ukraine; Ucrânia; Ucraina; Oekraïne; Україна; Украина
ug uga; Uganda; Republic of Uganda; Ouganda; Oeganda
um umi; U.S. Outlying Islands; United States Minor Outlying Islands; Ilhas Menores Distantes dos EUA
um Islas menores alejadas de EE. UU.; Îles mineures éloignées des États-Unis; Amerikanische Überseeinseln
um Isole Minori Esterne degli Stati Uniti; Kleine afgelegen eilanden van de Verenigde Staten
um Ilhas Menores Afastadas dos EUA
us usa; United States; United States of America; The United States; America; EUA; Estados Unidos da América
us Estados Unidos de América; EE. UU.; États-Unis d'Amérique; Estados Unidos; États-Unis; Vereinigte Staaten
us Stati Uniti; Verenigde Staten
uy ury; Uruguay; Eastern Republic of Uruguay; Uruguai
uz uzb; Uzbekistan; Republic of Uzbekistan; Uzbequistão; Ouzbékistan; Usbekistan; Oezbekistan; Usbequistão
uz Oʻzbekiston; Ўзбекистон
va vat; Vatican City; Holy See (Vatican City State); Vatican; Holy See; Vaticano; Cidade do Vaticano
va Ciudad del Vaticano; État de la Cité du Vatican; Vatikanstadt; Città del Vaticano; Vaticaanstad
vc vct; St. Vincent & Grenadines; Saint Vincent and the Grenadines; São Vicente e Granadinas
vc San Vicente y las Granadinas; Saint-Vincent-et-les Grenadines; St. Vincent und die Grenadinen
vc Saint Vincent e Grenadine; Saint Vincent en de Grenadines
ve ven; Venezuela; Venezuela, Bolivarian Republic of; Bolivarian Republic of Venezuela
vg vgb; British Virgin Islands; Virgin Islands, British; Ilhas Virgens Britânicas; Islas Vírgenes Británicas
vg Îles Vierges britanniques; Britische Jungferninseln; Isole Vergini Britanniche; Britse Maagdeneilanden
vi vir; U.S. Virgin Islands; Virgin Islands, U.S.; Virgin Islands of the United States
vi Ilhas Virgens Americanas; Islas Vírgenes de EE. UU.; Îles Vierges des États-Unis
vi Amerikanische Jungferninseln; Isole Vergini Americane; Amerikaanse Maagdeneilanden; Ilhas Virgens dos EUA
vn vnm; Vietnam; Socialist Republic of Viet Nam; Vietname; Vietnã
vu vut; Vanuatu; Republic of Vanuatu
wf wlf; Wallis & Futuna; Wallis and Futuna; Wallis e Futuna; Wallis y Futuna; Wallis-et-Futuna
wf Wallis und Futuna; Wallis en Futuna
ws wsm; Samoa; Independent State of Samoa
ye yem; Yemen; Republic of Yemen; Iêmen; Jemen; اليمن
yt myt; Mayotte; Maiote
za zaf; South Africa; Republic of South Africa; RSA; África do Sul; Sudáfrica; Afrique du Sud; Südafrika
za Zuid-Afrika
zm zmb; Zambia; Republic of Zambia; Zambie; Sambia
zw zwe; Zimbabwe; Republic of Zimbabwe; Zimbábue; Simbabwe
";
